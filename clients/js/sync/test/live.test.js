import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createApi } from '../src/api/call.js';
import { listen } from '../src/live.js';
import { refusal, scriptedServer } from './scripted-server.js';

const HEADERS = { 'content-type': 'text/event-stream' };
const GREETING = ': connected\nretry: 10\nid: m0\n\n';
const event = (/** @type {string} */ id, /** @type {string} */ name, /** @type {number} */ count) =>
  `id: ${id}\ndata: ${JSON.stringify({ datasetName: name, syncCount: count })}\n\n`;
const stream = (/** @type {string} */ body, open = false) => ({ headers: HEADERS, body, open });

/**
 * Listen, and keep what is told; `until` waits until enough was.
 *
 * @param {import('node:test').TestContext} t
 * @param {Parameters<typeof scriptedServer>} answers
 * @param {{ silenceMs?: number }} [options]
 */
async function listener(t, answers, options = {}) {
  const server = await scriptedServer(...answers);
  /** @type {string[]} */
  const told = [];
  let heard = () => {};
  const tell = (/** @type {string} */ what) => {
    told.push(what);
    heard();
  };
  const keys = { accessKeyId: 'AKID', secretAccessKey: 'S' };
  const listening = listen({
    api: createApi({
      endpoint: server.endpoint,
      region: 'us-east-1',
      credentials: { credentials: async () => keys },
      pause: async () => {},
    }),
    pool: 'us-east-1:0f',
    identityId: 'us-east-1:1e',
    onUpdate: (name, count) => tell(`${name} ${count}`),
    onAsk: () => tell('ask'),
    onState: (isLive) => tell(isLive ? 'live' : 'not live'),
    ...options,
  });
  t.after(() => {
    listening.stop();
    server.close();
  });
  const until = async (/** @type {() => boolean} */ isEnough) => {
    while (!isEnough()) await new Promise((resolve) => (heard = () => resolve(undefined)));
  };
  return { told, until, asked: server.asked, listening };
}

/** @param {string} url */
const lastId = (url) => new URL(url, 'http://x').searchParams.get('lastEventId');

test('updates are told as they come, and from the last event on after a break', async (t) => {
  const { told, until, asked } = await listener(t, [
    stream(GREETING + event('m1', 'prefs', 4) + 'id: m2\ndata: {"datasetName": "cut'),
    stream(GREETING + event('m2', 'a:b', 1), true),
  ]);

  await until(() => told.includes('a:b 1'));

  assert.deepEqual(told, ['live', 'prefs 4', 'not live', 'live', 'a:b 1']);
  assert.deepEqual(asked.map(({ url }) => lastId(url)), ['none', 'm1']);
});

test('lines may end in every way, and parts come as they like', async (t) => {
  const parts = ['id: m1\r', '\ndata: {"datasetName":\r\ndata: "ä",', '"syncCount": 2}\r\r', ':\n\n'];
  const { createServer } = await import('node:http');
  const slow = createServer(async (_, response) => {
    response.writeHead(200, HEADERS);
    for (const part of parts) {
      for (const byte of Buffer.from(part)) {
        response.write(Buffer.from([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  });
  await new Promise((resolve) => slow.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (slow.address());
  const api = createApi({
    endpoint: `http://127.0.0.1:${port}`,
    region: 'r',
    credentials: { credentials: async () => ({ accessKeyId: 'A', secretAccessKey: 'S' }) },
  });

  const told = await new Promise((resolve) => {
    const listening = listen({
      api,
      pool: 'r:0',
      identityId: 'r:1',
      onUpdate: (name, count) => resolve([name, count, listening.stop()]),
      onAsk: () => {},
      onState: () => {},
    });
  });
  slow.closeAllConnections();
  slow.close();

  assert.deepEqual(told, ['ä', 2, undefined]);
});

const NOT_LIVE = {
  'has none': refusal('UnknownOperationException', 404),
  'has too many listeners': refusal('TooManyRequestsException', 429),
  'is a portal': { headers: { 'content-type': 'text/html' }, body: '<html>data: 1\n\n' },
  'is not there': { drop: true },
};

for (const [what, answer] of Object.entries(NOT_LIVE)) {
  test(`whoever listens asks instead where the server ${what}, and listens when it can`, async (t) => {
    let fails = true;
    const { told, until, listening } = await listener(t, [
      () => (fails ? answer : stream(GREETING + event('m1', 'prefs', 4), true)),
    ]);

    await until(() => told.includes('ask'));
    fails = false;
    listening.hurry();
    await until(() => told.includes('prefs 4'));

    assert.equal(told.at(-2), 'live');
  });
}

test('a stream that has gone silent is begun again', async (t) => {
  const { told, until, asked } = await listener(
    t,
    [stream(GREETING, true), stream(GREETING + event('m1', 'prefs', 4), true)],
    { silenceMs: 30 },
  );

  await until(() => told.includes('prefs 4'));

  assert.equal(lastId(asked[1].url), 'm0');
});

test('what is no update is passed over, and a line without an end ends the stream', async (t) => {
  const garbage = ['7', 'null', '{"datasetName": 1}', '{', '[]'].map((each) => `data: ${each}\n\n`);
  const { told, until } = await listener(t, [
    stream(GREETING + garbage.join('') + event('m1', 'prefs', 4) + 'x'.repeat(70_000), true),
    stream(event('m2', 'prefs', 5), true),
  ]);

  await until(() => told.includes('prefs 5'));

  assert.deepEqual(told, ['live', 'prefs 4', 'not live', 'live', 'prefs 5']);
});
