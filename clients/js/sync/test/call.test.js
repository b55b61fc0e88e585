import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createApi } from '../src/api/call.js';
import { ApiError, NoCredentials, Unanswered } from '../src/api/faults.js';
import { refusal, scriptedServer } from './scripted-server.js';

const KEYS = { accessKeyId: 'AKID', secretAccessKey: 'SECRET', sessionToken: 'TOKEN' };
const DATASET = {
  IdentityPoolId: 'us-east-1:0f',
  IdentityId: 'us-east-1:1e',
  DatasetName: 'prefs',
};
const PATH = '/identitypools/us-east-1%3A0f/identities/us-east-1%3A1e/datasets/prefs';

/**
 * @param {import('node:test').TestContext} t
 * @param {Parameters<typeof scriptedServer>} answers
 * @param {Partial<import('../src/api/call.js').ApiOptions>} [options]
 */
async function apiOf(t, answers, options = {}) {
  const server = await scriptedServer(...answers);
  t.after(() => server.close());
  /** @type {number[]} */
  const pauses = [];
  const api = createApi({
    endpoint: server.endpoint,
    region: 'us-east-1',
    credentials: { credentials: async () => KEYS },
    pause: async (ms) => void pauses.push(ms),
    ...options,
  });
  return { api, server, pauses, asked: server.asked };
}

/** @param {Promise<unknown>} promise @returns {Promise<any>} */
const failure = (promise) => promise.then(() => assert.fail('it succeeded'), (error) => error);

test('a listing: members of the path, and the others in the query', async (t) => {
  const { api, asked } = await apiOf(t, [{ body: { Records: [] } }]);

  const answer = await api.call('ListRecords', { ...DATASET, LastSyncCount: 0, NextToken: 'a+/=' });

  assert.deepEqual(answer, { Records: [] });
  assert.equal(asked[0].method, 'GET');
  assert.equal(asked[0].url, `${PATH}/records?lastSyncCount=0&nextToken=a%2B%2F%3D`);
  assert.match(String(asked[0].headers.authorization), /^AWS4-HMAC-SHA256 Credential=AKID\//);
  assert.equal(asked[0].headers['x-amz-security-token'], 'TOKEN');
});

test('an update: what is null is left out', async (t) => {
  const { api, asked } = await apiOf(t, [{}]);

  await api.call('UpdateRecords', {
    ...DATASET,
    DeviceId: null,
    RecordPatches: [{ Op: 'remove', Key: 'k', Value: null, SyncCount: 3 }],
  });

  assert.equal(asked[0].method, 'POST');
  assert.equal(asked[0].url, PATH);
  assert.deepEqual(JSON.parse(asked[0].body), {
    RecordPatches: [{ Op: 'remove', Key: 'k', SyncCount: 3 }],
  });
});

test('an endpoint may have a path', async (t) => {
  const { server, asked } = await apiOf(t, [{}]);
  const api = createApi({ endpoint: `${server.endpoint}/sync/`, region: 'us-east-1' });

  await api.call('GetId', { IdentityPoolId: 'us-east-1:0f' });

  assert.equal(asked[0].url, '/sync/');
  assert.equal(asked[0].headers['x-amz-target'], 'AWSCognitoIdentityService.GetId');
  assert.equal(asked[0].headers.authorization, undefined);
});

for (const endpoint of ['ftp://a', 'https://u:p@a', 'https://a/?b', 'sync.example', '']) {
  test(`an endpoint that is none: ${endpoint}`, () => {
    assert.throws(() => createApi({ endpoint, region: 'us-east-1' }), TypeError);
  });
}

for (const name of ['.', '..', '', null]) {
  test(`a dataset that no path can name is asked nothing of: ${name}`, async (t) => {
    const { api, asked } = await apiOf(t, [{}]);

    const fault = await failure(api.call('DeleteDataset', { ...DATASET, DatasetName: name }));

    assert.equal(fault.code, 'InvalidParameterException');
    assert.equal(asked.length, 0);
  });
}

test('an error has its code, status and request id', async (t) => {
  const answer = refusal('com.amazon#ResourceConflictException:http://x', 409, 'Current: 3');
  const { api, asked } = await apiOf(t, [answer]);

  const fault = await failure(api.call('UpdateRecords', DATASET));

  assert.ok(fault instanceof ApiError);
  assert.equal(fault.code, 'ResourceConflictException');
  assert.equal(fault.message, 'Current: 3');
  assert.deepEqual([fault.status, fault.requestId, fault.retryable], [409, 'r-1', false]);
  assert.equal(asked.length, 1);
});

test('what a debugging server tells of a signed request is told to nobody', async (t) => {
  const text = "It does not match.\n\nThe Canonical String should have been\n'x-amz-security-token:TOKEN'";
  const { api } = await apiOf(t, [refusal('InvalidSignatureException', 403, text)]);

  const fault = await failure(api.call('ListRecords', DATASET));

  assert.equal(fault.message, 'It does not match.');
});

const GARBAGE = {
  'a page of a portal': { headers: { 'content-type': 'text/html' }, body: '<html>Log in</html>' },
  'an empty body': { body: '' },
  'a number': { body: '7' },
  'half of an answer': { body: '{"Records": [' },
  'a redirect': { status: 302, headers: { location: '/login' } },
  'a refusal of some proxy': { status: 404, body: '<html>Not found</html>' },
  'a refusal in JSON of somebody else': { status: 403, body: { message: 'Forbidden' } },
};

for (const [what, answer] of Object.entries(GARBAGE)) {
  test(`no answer: ${what}`, async (t) => {
    const { api } = await apiOf(t, [answer]);

    const fault = await failure(api.call('ListRecords', DATASET));

    assert.ok(fault instanceof Unanswered);
    assert.ok(fault.retryable);
  });
}

test('a server that is throttled is asked again, not before it said', async (t) => {
  const throttled = refusal('TooManyRequestsException', 429);
  throttled.headers = { ...throttled.headers, 'retry-after': '2' };
  const { api, pauses } = await apiOf(t, [throttled, throttled, { body: { Records: [] } }]);

  await api.call('DeleteDataset', DATASET);

  assert.equal(pauses.length, 2);
  assert.ok(pauses.every((ms) => ms >= 2000));
});

test('whoever has to wait for long is told so at once', async (t) => {
  const throttled = refusal('TooManyRequestsException', 429);
  throttled.headers = { ...throttled.headers, 'retry-after': '60' };
  const { api, asked } = await apiOf(t, [throttled]);

  const fault = await failure(api.call('ListRecords', DATASET));

  assert.equal(asked.length, 1);
  assert.equal(fault.retryAfterMs, 60_000);
  assert.ok(fault.retryable);
});

test('an update whose answer was lost is sent again as it was', async (t) => {
  const { api, asked } = await apiOf(t, [{ drop: true }, { body: { Records: [] } }]);

  await api.call('UpdateRecords', { ...DATASET, SyncSessionToken: 't', RecordPatches: [] });

  assert.equal(asked.length, 2);
  assert.equal(asked[0].body, asked[1].body);
});

for (const [name, params] of [['DeleteDataset', DATASET], ['GetId', { IdentityPoolId: 'p' }]]) {
  for (const [what, answer] of Object.entries({
    'is lost': { drop: true },
    'says nothing': refusal('InternalErrorException', 500),
  })) {
    test(`${name} is not made twice when its answer ${what}`, async (t) => {
      const { api, asked } = await apiOf(t, [answer]);

      const fault = await failure(api.call(String(name), /** @type {any} */ (params)));

      assert.ok(fault.retryable);
      assert.equal(asked.length, 1);
    });
  }
}

test('it gives up after three attempts, and waits longer each time', async (t) => {
  const { api, asked, pauses } = await apiOf(t, [refusal('InternalErrorException', 500)]);

  const fault = await failure(api.call('ListRecords', DATASET));

  assert.equal(fault.code, 'InternalErrorException');
  assert.equal(asked.length, 3);
  assert.ok(pauses[0] >= 100 && pauses[0] <= 200, `${pauses[0]}`);
  assert.ok(pauses[1] >= 200 && pauses[1] <= 400, `${pauses[1]}`);
});

test('an answer that does not come is not waited for', async (t) => {
  const { api } = await apiOf(t, [{ open: true }], { timeoutMs: 50 });

  const fault = await failure(api.call('DeleteDataset', DATASET));

  assert.ok(fault instanceof Unanswered);
});

test('a call that is called off', async (t) => {
  const { api, asked } = await apiOf(t, [{ open: true }]);
  const ending = new AbortController();

  const called = failure(api.call('ListRecords', DATASET, { signal: ending.signal }));
  setTimeout(() => ending.abort());

  assert.ok((await called) instanceof Unanswered);
  assert.ok(asked.length <= 1);
});

const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5);

/** A server that minds the date of a signature, as the real one does. */
const strict = (/** @type {import('./scripted-server.js').Asked} */ asked) => {
  const date = String(asked.headers['x-amz-date']);
  const [year, month, ...rest] = date.match(/^\d{4}|\d\d/g)?.map(Number) ?? [];
  if (Math.abs(Date.UTC(year, month - 1, ...rest) - NOW_MS) < 300_000) return { body: { Records: [] } };
  const answer = refusal('InvalidSignatureException', 403, 'Signature expired.');
  return { ...answer, headers: { ...answer.headers, date: new Date(NOW_MS).toUTCString() } };
};

for (const offMs of [-86_400_000 * 400, -600_000, 600_000, 86_400_000]) {
  test(`a clock that is ${offMs / 1000} s off is corrected by the server's`, async (t) => {
    const { api, asked } = await apiOf(t, [strict], { now: () => NOW_MS + offMs });

    await api.call('ListRecords', DATASET);
    await api.call('ListRecords', DATASET);

    assert.equal(asked.length, 3); // the second call knows
    assert.equal(api.now(), NOW_MS);
  });
}

test('a signature that is wrong for another reason is not made again', async (t) => {
  const { api, asked } = await apiOf(t, [refusal('InvalidSignatureException', 403)]);

  assert.equal((await failure(api.call('ListRecords', DATASET))).status, 403);
  assert.equal(asked.length, 1);
});

test('credentials that have ended are asked for anew, once', async (t) => {
  const ended = refusal('ExpiredTokenException', 403);
  /** @type {unknown[]} */
  const refused = [];
  const credentials = {
    credentials: async (/** @type {any} */ old) => {
      if (old) refused.push(old.accessKeyId);
      return old ? { ...KEYS, accessKeyId: 'NEW' } : KEYS;
    },
  };
  const { api, asked } = await apiOf(t, [ended, { body: { Records: [] } }], { credentials });

  await api.call('ListRecords', DATASET);

  assert.deepEqual(refused, ['AKID']);
  assert.match(String(asked[1].headers.authorization), /Credential=NEW/);
});

test('a server that knows no credentials at all', async (t) => {
  const { api, asked } = await apiOf(t, [refusal('UnrecognizedClientException', 403)]);

  assert.equal((await failure(api.call('ListRecords', DATASET))).status, 403);
  assert.ok(asked.length <= 3);
});

test('no credentials: the reason stays a cause, and out of the words', async (t) => {
  const credentials = {
    credentials: async () => {
      throw new Error('password=hunter2');
    },
  };
  const { api, asked } = await apiOf(t, [{}], { credentials });

  const fault = await failure(api.call('ListRecords', DATASET));

  assert.ok(fault instanceof NoCredentials);
  assert.doesNotMatch(fault.message, /hunter2/);
  assert.equal(asked.length, 0);
});

test('no fault has a value or a secret in its words', async (t) => {
  for (const answer of [{ drop: true }, { body: 'garbage' }, refusal('InternalErrorException', 500)]) {
    const { api } = await apiOf(t, [answer]);
    const patch = { Op: 'replace', Key: 'k', Value: 'my value', SyncCount: 0 };

    const fault = await failure(
      api.call('UpdateRecords', { ...DATASET, SyncSessionToken: 'session', RecordPatches: [patch] }),
    );

    assert.doesNotMatch(`${fault.message} ${JSON.stringify(fault)}`, /my value|SECRET|TOKEN|session/);
  }
});
