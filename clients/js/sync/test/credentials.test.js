import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Unanswered } from '../src/api/faults.js';
import { developerToken, fixed, guest, openId } from '../src/credentials.js';
import { connect } from '../src/remote.js';
import { refusal, scriptedServer } from './scripted-server.js';

const POOL = 'us-east-1:0f';

/** @param {Record<string, unknown>} claims */
const jwt = (claims) => `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`;

/**
 * A server of Cognito Identity with few words, by the operation that is called.
 *
 * @param {Record<string, (params: any) => any>} operations
 */
const identityServer = (operations) =>
  scriptedServer(({ headers, body }) => {
    const name = String(headers['x-amz-target']).split('.')[1];
    const answer = operations[name](JSON.parse(body));
    return answer.status || answer.drop ? answer : { body: answer };
  });

/** @param {string} id @param {number} [lifeMs] */
const given = (id, lifeMs = 3_600_000) => ({
  IdentityId: id,
  Credentials: {
    AccessKeyId: 'AKID',
    SecretKey: 'SECRET',
    SessionToken: 'TOKEN',
    Expiration: (Date.now() + lifeMs) / 1000,
  },
});

/**
 * @param {import('node:test').TestContext} t
 * @param {import('../src/credentials.js').Provider} credentials
 * @param {Record<string, (params: any) => any>} operations
 * @param {Record<string, string>} [texts] what is kept already
 */
async function appOf(t, credentials, operations, texts = {}) {
  const server = await identityServer(operations);
  t.after(() => server.close());
  /** @type {string[]} */
  const followed = [];
  const kept = {
    get: async (/** @type {string} */ name) => texts[name] ?? null,
    put: async (/** @type {any} */ changes) => void Object.assign(texts, changes),
    merged: async (/** @type {string} */ a, /** @type {string} */ b) => void followed.push(`${a}>${b}`),
  };
  const remote = connect({ endpoint: server.endpoint, pool: POOL, credentials, kept });
  const operationsAsked = () =>
    server.asked.map(({ headers }) => String(headers['x-amz-target']).split('.')[1]);
  return { remote, texts, followed, asked: server.asked, operationsAsked };
}

const user = (/** @type {string} */ sub) => openId('idp', () => jwt({ iss: 'idp', sub }));
const note = (/** @type {any} */ it) => ({ identity: JSON.stringify({ who: '', ...it }) });

test('a guest has one identity, however many ask at once and however often it starts', async (t) => {
  const operations = {
    GetId: () => ({ IdentityId: 'r:1' }),
    GetCredentialsForIdentity: (/** @type {any} */ { IdentityId }) => given(IdentityId),
  };
  const credentials = guest();
  const { texts, operationsAsked } = await appOf(t, credentials, operations);

  await Promise.all([credentials.identityId(), credentials.credentials(), credentials.credentials()]);
  const again = guest();
  await appOf(t, again, operations, texts);

  assert.equal(await again.identityId(), 'r:1');
  assert.deepEqual(operationsAsked(), ['GetId', 'GetCredentialsForIdentity']);
  assert.doesNotMatch(JSON.stringify(texts), /SECRET|TOKEN|AKID/);
});

test('a guest whose answer was lost half-way does not become another', async (t) => {
  let fails = true;
  const credentials = guest();
  const { operationsAsked } = await appOf(t, credentials, {
    GetId: () => ({ IdentityId: 'r:1' }),
    GetCredentialsForIdentity: () => (fails ? refusal('NotAuthorizedException', 400) : given('r:1')),
  });

  await assert.rejects(credentials.credentials(), { code: 'NotAuthorizedException' });
  fails = false;
  await credentials.credentials();

  assert.equal(operationsAsked().filter((name) => name === 'GetId').length, 1);
});

test('nobody answers at the first start', async (t) => {
  const credentials = guest();
  const { remote } = await appOf(t, credentials, { GetId: () => ({ drop: true }) });

  await assert.rejects(credentials.identityId(), { code: 'Unanswered' });
  assert.equal(await credentials.known(), null);
  const event = await remote.perform('d', { do: 'list', dataset_name: 'd', since: 0 }, 'r:1');
  assert.equal(event.is, 'lost');
});

test('credentials are renewed before they end', async (t) => {
  let lifeMs = 60_000;
  const credentials = guest();
  const { operationsAsked } = await appOf(t, credentials, {
    GetId: () => ({ IdentityId: 'r:1' }),
    GetCredentialsForIdentity: () => given('r:1', lifeMs),
  });
  const count = () => operationsAsked().filter((name) => name !== 'GetId').length;

  lifeMs = 0; // ended when they come
  const ended = await credentials.credentials();
  lifeMs = 60_000;
  const lasting = await credentials.credentials();
  assert.notEqual(ended, lasting);
  assert.equal(await credentials.credentials(), lasting);
  assert.equal(count(), 2);
  assert.notEqual(await credentials.credentials(lasting), lasting); // refused
  assert.equal(count(), 3);
});

test('credentials that last a while yet outlive a renewal that fails', async () => {
  let nowMs = Date.now();
  let fails = false;
  const credentials = guest();
  credentials.attach({
    endpoint: '',
    pool: POOL,
    region: 'us-east-1',
    get: async () => JSON.stringify({ id: 'r:1', kind: 'guest', who: '' }),
    put: async () => {},
    merged: async () => {},
    api: {
      now: () => nowMs,
      call: async () => {
        if (fails) throw new Unanswered('gone');
        return given('r:1', 1_000_000);
      },
    },
  });
  const first = await credentials.credentials();
  fails = true;

  nowMs += 900_000;
  assert.equal(await credentials.credentials(), first);
  nowMs += 200_000;
  await assert.rejects(credentials.credentials(), { code: 'Unanswered' });
});

test('the clock of a device that is wrong ends nothing', async (t) => {
  const now = Date.now();
  const date = new Date(now).toUTCString();
  const credentials = guest();
  const server = await scriptedServer({ headers: { date }, body: given('r:1') });
  t.after(() => server.close());
  const get = async () => JSON.stringify({ id: 'r:1', kind: 'guest', who: '' });
  const kept = { get, put: async () => {}, merged: async () => {} };
  connect({ endpoint: server.endpoint, pool: POOL, credentials, kept });
  t.mock.timers.enable({ apis: ['Date'], now: now + 86_400_000 });

  const first = await credentials.credentials();

  assert.equal(await credentials.credentials(), first);
  assert.equal(server.asked.length, 1);
});

test('a guest who signs in is linked, or merged, and the data follows', async (t) => {
  for (const [to, follows] of /** @type {[string, string[]][]} */ ([['r:1', []], ['r:2', ['r:1>r:2']]])) {
    const credentials = user('anna');
    const { followed, asked, texts } = await appOf(
      t,
      credentials,
      { GetCredentialsForIdentity: () => given(to) },
      note({ id: 'r:1', kind: 'guest' }),
    );

    assert.equal(await credentials.identityId(), 'r:1'); // as long as nobody was asked
    await credentials.credentials();

    assert.equal(JSON.parse(asked[0].body).IdentityId, 'r:1');
    assert.equal(await credentials.identityId(), to);
    assert.deepEqual(followed, follows);
    assert.doesNotMatch(JSON.stringify(texts), /anna/);
  }
});

test('another user does not get the identity of the one before, nor the data', async (t) => {
  const operations = {
    GetId: (/** @type {any} */ { Logins }) => ({ IdentityId: Logins.idp === jwt({ iss: 'idp', sub: 'a' }) ? 'r:a' : 'r:b' }),
    GetCredentialsForIdentity: (/** @type {any} */ { IdentityId }) => given(IdentityId),
  };
  const anna = user('a');
  const { texts } = await appOf(t, anna, operations);
  await anna.credentials();
  const ben = user('b');
  const { followed, asked } = await appOf(t, ben, operations, texts);

  await ben.credentials();

  assert.equal(await ben.identityId(), 'r:b');
  assert.deepEqual(followed, []);
  assert.ok(asked.every(({ body }) => !body.includes('r:a')));
});

test('a user whose tokens do not say who it is keeps the identity by logging in again', async (t) => {
  const credentials = openId('graph.example', () => 'opaque');
  const { followed, operationsAsked } = await appOf(
    t,
    credentials,
    { GetId: () => ({ IdentityId: 'r:1' }), GetCredentialsForIdentity: () => given('r:1') },
    note({ id: 'r:1', kind: 'user' }),
  );

  await credentials.credentials();

  assert.deepEqual(operationsAsked(), ['GetId', 'GetCredentialsForIdentity']);
  assert.deepEqual(followed, []);
});

test('an account that was merged elsewhere takes its data along', async (t) => {
  const operations = {
    GetId: () => ({ IdentityId: 'r:1' }),
    GetCredentialsForIdentity: () => given('r:1'),
  };
  const credentials = user('anna');
  const { followed } = await appOf(t, credentials, operations);
  const first = await credentials.credentials();
  operations.GetCredentialsForIdentity = () => given('r:9');

  await credentials.credentials(first);

  assert.deepEqual(followed, ['r:1>r:9']);
  assert.equal(await credentials.identityId(), 'r:9');
});

test('a guest that the server has forgotten becomes another, with the data', async (t) => {
  const credentials = guest();
  const { followed } = await appOf(
    t,
    credentials,
    {
      GetId: () => ({ IdentityId: 'r:2' }),
      GetCredentialsForIdentity: (/** @type {any} */ { IdentityId }) =>
        IdentityId === 'r:2' ? given('r:2') : refusal('ResourceNotFoundException', 404),
    },
    note({ id: 'r:1', kind: 'guest' }),
  );

  await credentials.credentials();

  assert.equal(await credentials.identityId(), 'r:2');
  assert.deepEqual(followed, ['r:1>r:2']);
});

test('a user whose token is over is not taken for a guest', async (t) => {
  const credentials = openId('idp', () => null);
  const { operationsAsked } = await appOf(t, credentials, {}, note({ id: 'r:1', kind: 'user' }));

  await assert.rejects(credentials.credentials(), { code: 'SignInNeeded' });
  assert.equal(await credentials.identityId(), 'r:1');
  assert.deepEqual(operationsAsked(), []);
});

test('a backend is told of the guest, and says whose the token is', async (t) => {
  /** @type {(string | null)[]} */
  const guests = [];
  const credentials = developerToken((guestId) => {
    guests.push(guestId);
    return { identityId: 'r:7', token: jwt({ sub: 'r:7' }) };
  });
  const { followed, asked } = await appOf(
    t,
    credentials,
    { GetCredentialsForIdentity: (/** @type {any} */ { IdentityId }) => given(IdentityId) },
    note({ id: 'r:1', kind: 'guest' }),
  );

  await credentials.credentials();

  assert.deepEqual(guests, ['r:1']);
  assert.deepEqual(Object.keys(JSON.parse(asked[0].body).Logins), ['cognito-identity.amazonaws.com']);
  assert.deepEqual(followed, ['r:1>r:7']);
});

test('what a backend throws is a cause, and no dataset is taken for refused', async (t) => {
  const credentials = developerToken(() => {
    throw new Error('password=hunter2');
  });
  const { remote } = await appOf(t, credentials, {});

  for (const effect of [
    { do: 'list', dataset_name: 'd', since: 3 },
    { do: 'push', sent: { token: 't', patches: [] } },
    { do: 'delete', dataset_name: 'd' },
  ]) {
    const event = await remote.perform('d', effect, 'r:1');
    assert.equal(event.is, 'lost');
    assert.doesNotMatch(String(event.error.message), /hunter2/);
  }
});

test('an identity that cannot be had is no word about a dataset', async (t) => {
  const gone = refusal('ResourceNotFoundException', 404);
  const credentials = developerToken(() => ({ identityId: 'r:7', token: 'x' }));
  const { remote } = await appOf(t, credentials, { GetCredentialsForIdentity: () => gone });

  const event = await remote.perform('d', { do: 'delete', dataset_name: 'd' }, 'r:7');

  assert.equal(event.is, 'lost'); // "not found" would mean that it is deleted
  assert.equal(event.error.code, 'NoCredentials');
  assert.match(event.error.message, /ResourceNotFoundException/);
});

test('whoever signs out is nobody', async (t) => {
  const credentials = user('anna');
  const { texts } = await appOf(
    t,
    credentials,
    { GetId: () => ({ IdentityId: 'r:1' }), GetCredentialsForIdentity: () => given('r:1') },
  );
  await credentials.credentials();

  await credentials.forget();

  assert.equal(await credentials.known(), null);
  assert.equal(texts.identity, null);
});

test('garbage in the storage is as nothing', async (t) => {
  for (const identity of ['', '{', 'null', '7', '{"id": 7}', '[]']) {
    const credentials = guest();
    await appOf(
      t,
      credentials,
      { GetId: () => ({ IdentityId: 'r:1' }), GetCredentialsForIdentity: () => given('r:1') },
      { identity },
    );
    assert.equal(await credentials.identityId(), 'r:1');
  }
});

test('garbage in place of credentials', async (t) => {
  for (const answer of [{}, { IdentityId: 'r:1' }, { ...given('r:1'), Credentials: { AccessKeyId: 7 } }]) {
    const credentials = guest();
    await appOf(t, credentials, {
      GetId: () => ({ IdentityId: 'r:1' }),
      GetCredentialsForIdentity: () => answer,
    });
    await assert.rejects(credentials.credentials(), { code: 'Unanswered' });
  }
});

test('fixed credentials are what they are', async (t) => {
  const credentials = fixed({ identityId: 'r:1', accessKeyId: 'AKID', secretAccessKey: 'S' });
  await appOf(t, credentials, {});

  assert.equal(await credentials.identityId(), 'r:1');
  assert.deepEqual(await credentials.credentials(), { accessKeyId: 'AKID', secretAccessKey: 'S' });
});
