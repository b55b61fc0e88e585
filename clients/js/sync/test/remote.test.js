import assert from 'node:assert/strict';
import { test } from 'node:test';

import { fixed } from '../src/credentials.js';
import { connect } from '../src/remote.js';
import { refusal, scriptedServer } from './scripted-server.js';

const ME = 'us-east-1:1e';
const LIST = { do: 'list', dataset_name: 'prefs', since: 3 };
const PUSH = {
  do: 'push',
  sent: {
    token: 'session',
    patches: [
      { op: 'remove', key: 'a', sync_count: 2, value: null, modified_ms: 0, edit: 4 },
      { op: 'replace', key: 'b', sync_count: 0, value: '', modified_ms: 1500, edit: 1 },
    ],
  },
};
const PAGE = {
  Records: [],
  DatasetSyncCount: 7,
  DatasetExists: true,
  DatasetDeletedAfterRequestedSyncCount: false,
  SyncSessionToken: 's',
};
const RECORD = { Key: 'a', Value: 'x', SyncCount: 5, LastModifiedDate: 2.5 };

/**
 * @param {import('node:test').TestContext} t
 * @param {Parameters<typeof scriptedServer>} answers
 */
async function remoteOf(t, ...answers) {
  const server = await scriptedServer(...answers);
  t.after(() => server.close());
  const credentials = fixed({ identityId: ME, accessKeyId: 'AKID', secretAccessKey: 'S' });
  const none = async () => null;
  const kept = { get: none, put: none, merged: none };
  const remote = connect({ endpoint: server.endpoint, pool: 'us-east-1:0f', credentials, kept });
  return { ...remote, asked: server.asked };
}

test('a listing is all of its pages', async (t) => {
  const first = { ...PAGE, Records: [RECORD], NextToken: 'n/1' };
  const last = {
    ...PAGE,
    MergedDatasetNames: ['prefs.us-east-1:2d'],
    Records: [{ Key: 'b', SyncCount: 7, LastModifiedDate: 9, DeviceLastModifiedDate: 3.001 }],
  };
  const { perform, asked } = await remoteOf(t, { body: first }, { body: last });

  assert.deepEqual(await perform('prefs', LIST, ME), {
    is: 'listed',
    token: 's',
    sync_count: 7,
    exists: true,
    deleted: false,
    records: [
      { key: 'a', value: 'x', sync_count: 5, modified_ms: 2500 },
      { key: 'b', value: null, sync_count: 7, modified_ms: 3001 },
    ],
    merged_names: ['prefs.us-east-1:2d'],
  });
  assert.match(asked[1].url, /nextToken=n%2F1/);
});

test('pages of different moments are no listing', async (t) => {
  const first = { ...PAGE, Records: [RECORD], NextToken: 'n' };
  const other = { ...PAGE, DatasetSyncCount: 8 };
  const { perform } = await remoteOf(t, { body: first }, { body: other });

  assert.equal((await perform('prefs', LIST, ME)).is, 'lost');
});

test('pages without an end', async (t) => {
  const { perform, asked } = await remoteOf(t, { body: { ...PAGE, NextToken: 'n' } });

  assert.equal((await perform('prefs', LIST, ME)).is, 'lost');
  assert.equal(asked.length, 2);
});

const UNLIKE = {
  nothing: {},
  'no count': { ...PAGE, DatasetSyncCount: undefined },
  'a count beyond what numbers hold': { ...PAGE, DatasetSyncCount: 2 ** 53 },
  'a count below zero': { ...PAGE, DatasetSyncCount: -1 },
  'no token': { ...PAGE, SyncSessionToken: '' },
  'no records': { ...PAGE, Records: null },
  'a record that is none': { ...PAGE, Records: [null] },
  'a record without a key': { ...PAGE, Records: [{ ...RECORD, Key: undefined }] },
  'a value that is no text': { ...PAGE, Records: [{ ...RECORD, Value: 7 }] },
  'names that are none': { ...PAGE, MergedDatasetNames: [7] },
};

for (const [what, body] of Object.entries(UNLIKE)) {
  test(`nothing is concluded from a listing with ${what}`, async (t) => {
    const { perform } = await remoteOf(t, { body });

    const event = await perform('prefs', LIST, ME);

    assert.equal(event.is, 'lost');
    assert.equal(event.error.code, 'Unanswered');
  });
}

test('an update, which asks for the session of the next one', async (t) => {
  const body = { Records: [RECORD], SyncSessionToken: 'next' };
  const { perform, asked } = await remoteOf(t, { body }, { body: { Records: [] } });

  const event = await perform('prefs', PUSH, ME);

  assert.deepEqual(event, {
    is: 'pushed',
    records: [{ key: 'a', value: 'x', sync_count: 5, modified_ms: 2500 }],
    token: 'next',
  });
  assert.equal(asked[0].headers['x-amz-client-context'], 'millpond-next-session');
  assert.match(asked[0].headers.authorization ?? '', /;x-amz-client-context;/);
  assert.match(asked[0].url, /\/datasets\/prefs$/);
  assert.deepEqual(JSON.parse(asked[0].body), {
    SyncSessionToken: 'session',
    RecordPatches: [
      { Op: 'remove', Key: 'a', SyncCount: 2 },
      { Op: 'replace', Key: 'b', Value: '', SyncCount: 0, DeviceLastModifiedDate: 1.5 },
    ],
  });
});

for (const words of ['not valid for these inputs', 'has expired']) {
  test(`a session that ${words} spoils no record`, async (t) => {
    const text = `SyncSessionToken ${words}`;
    const { perform } = await remoteOf(t, refusal('InvalidParameterException', 400, text));

    assert.equal((await perform('prefs', PUSH, ME)).code, 'ResourceConflictException');
    assert.equal((await perform('prefs', LIST, ME)).code, 'InvalidParameterException');
  });
}

test('a refusal has its code', async (t) => {
  const { perform } = await remoteOf(t, refusal('ResourceNotFoundException', 404));

  const event = await perform('prefs', { do: 'delete', dataset_name: 'prefs.x' }, ME);

  assert.deepEqual([event.is, event.code], ['refused', 'ResourceNotFoundException']);
  assert.equal(event.error.requestId, 'r-1');
});

test('an identity of before is not called for', async (t) => {
  const { perform, asked } = await remoteOf(t, { body: PAGE });

  const event = await perform('prefs', LIST, 'us-east-1:00');

  assert.deepEqual(event, { is: 'refused', code: 'IdentityChanged' });
  assert.equal(asked.length, 0);
});

test('the names of datasets, all pages', async (t) => {
  const names = (/** @type {string[]} */ ...all) => all.map((DatasetName) => ({ DatasetName }));
  const { listDatasets, asked } = await remoteOf(
    t,
    { body: { Datasets: names('a', 'b'), NextToken: 'b' } },
    { body: { Datasets: names('__proto__') } },
  );

  assert.deepEqual(await listDatasets(ME), ['a', 'b', '__proto__']);
  assert.match(asked[1].url, /\/datasets\?nextToken=b$/);
});
