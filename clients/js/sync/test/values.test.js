/** What a dataset does with values: codecs, limits, and what it cannot read. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { CodecError, json } from '../src/codec.js';
import { encrypted } from '../src/encryption.js';
import { memory } from '../src/storage/memory.js';
import { openSync } from '../src/sync.js';
import { device, ME, POOL, Server } from './world.js';

const KEY = Uint8Array.from({ length: 32 }, (_, n) => n);
const OTHER_KEY = KEY.map((each) => each + 1);
const both = (key, base, mine, theirs) => [...new Set([...mine, ...theirs])].sort();
const migrate = (value, version) => (version === 1 ? [value] : value);

const asObject = async (dataset) => Object.fromEntries(await dataset.items());

/** Opens devices of one server, each over a storage of its own unless one is named. */
function devices() {
  const server = new Server();
  const open = async (options, { storage = memory(), ...more } = {}) =>
    (await device(server, storage, more)).dataset('prefs', options);
  return Object.assign(open, { server });
}

test('what is newer is neither read nor written over, until it is lost knowingly', async () => {
  const open = devices();
  const storage = memory();
  await (await open({ codec: json({ version: 3 }) }, { storage })).set('size', 7);
  const prefs = await open({ codec: json({ version: 2 }) }, { storage });
  const newer = { code: 'newer_version', dataset: 'prefs', key: 'size', version: 3, known: 2 };

  await assert.rejects(prefs.get('size'), newer);
  await assert.rejects(prefs.set('size', 8), newer);
  await assert.rejects(prefs.remove('size'), newer);
  await prefs.set('colour', 'teal');
  assert.equal(await (await open({}, { storage })).get('size'), '#v3:7');

  await prefs.set('size', 8, { overwrite: true });
  assert.deepEqual(await asObject(prefs), { size: 8, colour: 'teal' });
});

test('a wrong key destroys nothing', async () => {
  const open = devices();
  const storage = memory();
  await (await open({ codec: encrypted(json(), KEY) }, { storage })).set('size', 7);
  const prefs = await open({ codec: encrypted(json(), OTHER_KEY) }, { storage });

  await assert.rejects(prefs.set('size', 8), { code: 'undecipherable', keyId: '1' });

  assert.equal(await (await open({ codec: encrypted(json(), KEY) }, { storage })).get('size'), 7);
});

test('what travels is ciphertext, and the same written again is nothing new', async () => {
  const open = devices();
  const prefs = await open({ codec: encrypted(json(), KEY) });
  await prefs.set('size', { a: 7 });
  await prefs.sync();
  assert.match(open.server.values('prefs').size, /^mpe1\.1\./);

  await prefs.set('size', { a: 7 });
  assert.deepEqual((await prefs.sync()).pushed, []);
});

test('a value is kept as it was when it was set', async () => {
  const prefs = await devices()({ codec: encrypted(json(), KEY) });
  const value = { a: 1 };
  const stored = prefs.set('size', value);
  value.a = 2;
  await stored;

  assert.deepEqual(await prefs.get('size'), { a: 1 });
});

test('a conflict with a newer app waits for the update', async () => {
  const open = devices();
  const storage = memory();
  const updated = { codec: json({ version: 2, migrate }), merge: both };
  const one = await open(updated);
  const old = await open({ codec: json({ version: 1 }) }, { storage });
  await one.set('size', [7]);
  await one.sync();
  await old.set('size', 8);
  await old.set('colour', 'teal');

  for (let times = 0; times < 2; times++) {
    assert.deepEqual((await old.sync()).setAside, { size: 'Unreadable' });
  }
  assert.equal(await old.get('size'), 8);
  await one.sync();
  assert.deepEqual(await asObject(one), { size: [7], colour: ['teal'] });

  const later = await open(updated, { storage });
  assert.deepEqual((await later.sync()).setAside, {});
  await one.sync();
  assert.deepEqual(await one.get('size'), [7, 8]);
  assert.deepEqual(await later.get('size'), [7, 8]);
});

test('encrypted, those of one mind do not push by turns', async () => {
  const open = devices();
  const [one, two] = [1, 2].map(() => open({ codec: encrypted(json(), KEY), merge: both }));
  await (await one).set('a', [1]);
  await (await two).set('a', [2]);
  for (const each of [one, two, one, two]) await (await each).sync();

  for (const each of [one, two]) {
    const { pulled, pushed, merged } = await (await each).sync();
    assert.deepEqual({ pulled, pushed, merged }, { pulled: [], pushed: [], merged: [] });
    assert.deepEqual(await (await each).get('a'), [1, 2]);
  }
});

test('a listener hears what can be read', async () => {
  const open = devices();
  const [one, two] = [await open({}), await open({ codec: json({ version: 2 }) })];
  const heard = [];
  two.subscribe((changes) => heard.push(changes));
  await one.set('bad', '#v3:1');
  await one.set('good', '#v2:1');
  await one.sync();
  await two.sync();
  await new Promise((resolve) => setImmediate(resolve));

  assert.deepEqual(heard, [{ good: 1 }]);
  await assert.rejects(two.items(), CodecError);
});

for (const [limits, key, value, limit, number, most] of [
  [{}, 'größe', '1', 'record_key_characters', 2, 0],
  [{ records_per_dataset: 1 }, 'b', '1', 'records_per_dataset', 2, 1],
  [{ dataset_bytes: 4 }, 'b', 'äa', 'dataset_bytes', 6, 4],
  [{ record_value_chars: 2 }, 'b', 'abc', 'record_value_chars', 3, 2],
  [{}, 'b', 'a\0', 'record_value_characters', 1, 0],
]) {
  test(`quota: ${limit}; a write that would pass it is not queued, others are`, async () => {
    const prefs = await devices()({}, { limits });
    const [, refused] = await Promise.allSettled([
      prefs.set('a', '1'),
      prefs.set(key, value),
      prefs.set('a', '2'),
    ]);

    const { name, dataset, reason } = { ...refused.reason, name: refused.reason.name, reason: refused.reason };
    assert.deepEqual([name, dataset, reason.key], ['QuotaError', 'prefs', key]);
    assert.deepEqual([reason.limit, reason.number, reason.most], [limit, number, most]);
    assert.deepEqual(await asObject(prefs), { a: '2' });
    assert.deepEqual((await prefs.status()).unsent, ['a']);
  });
}

test('quota: what counts is what travels', async () => {
  const prefs = await devices()({ codec: encrypted(json(), KEY) }, { limits: { dataset_bytes: 40 } });

  await assert.rejects(prefs.set('a', 7), { limit: 'dataset_bytes', number: 1 + 7 + 39 });
});

test('quota: what a synchronization brings counts too, and what it takes away does not', async () => {
  const open = devices();
  const [one, two] = [await open({}), await open({}, { limits: { records_per_dataset: 2 } })];
  await one.set('a', '1');
  await one.set('b', '1');
  await one.sync();
  await two.sync();
  await assert.rejects(two.set('c', '1'), { number: 3 });
  await one.remove('a');
  await one.sync();
  await two.sync();
  await two.set('c', '1');

  assert.deepEqual(await asObject(two), { b: '1', c: '1' });
});

test('quota: a dataset too many is refused as it gets its first record', async () => {
  const sync = await device(new Server(), memory(), { limits: { datasets_per_identity: 2 } });
  await sync.dataset('one').set('a', '1');
  await sync.dataset('two').set('a', '1');
  await assert.rejects(sync.dataset('three').set('a', '1'), { limit: 'datasets_per_identity', number: 3 });
  await sync.dataset('two').set('b', '1');
  await sync.dataset('one').remove('a');
  await sync.dataset('three').set('a', '1');
});

test('what an app may say of limits reaches its datasets', async () => {
  const credentials = { attach() {}, known: async () => ME };
  const options = { endpoint: 'http://127.0.0.1:9', pool: POOL, storage: memory(), credentials };
  const sync = await openSync({ ...options, limits: { dataset_bytes: 1 } });

  await assert.rejects(sync.dataset('prefs').set('a', '1'), { limit: 'dataset_bytes' });
  await sync.close();
});
