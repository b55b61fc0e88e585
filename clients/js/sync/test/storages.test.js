import assert from 'node:assert/strict';
import { test } from 'node:test';

import { StorageFullError } from '../src/errors.js';
import { localStorage } from '../src/storage/local-storage.js';
import { memory } from '../src/storage/memory.js';
import { openStore } from '../src/storage/store.js';
import { Area } from './area.js';
import { contract } from './storage-contract.js';

const KINDS = { memory, 'local storage': () => localStorage({ area: new Area() }) };
const record = (value) => ({
  ...{ value, base: null, base_count: 0, dirty: true },
  ...{ edit: 1, modified_ms: 0, refused: null },
});

for (const [kind, fresh] of Object.entries(KINDS)) {
  for (const [name, fact] of Object.entries(contract)) {
    test(`${kind} ${name}`, () => fact(fresh()));
  }
}

/** Two datasets, and a change of both: values that grow and shrink, come and go. */
async function prepare(area) {
  const store = openStore(await localStorage({ area }).open('pool'));
  const versions = [];
  for (const name of ['a', 'b']) {
    const records = ['x', 'y', 'z'].map((key) => [key, record(`${name} before, ${key}`)]);
    const head = { sync_count: 1, sent: null, deleting: false, absorbed: {} };
    versions.push(await store.commit([{ identity: 'me', name, version: 0, head, records }]));
  }
  const changes = [
    {
      ...{ identity: 'me', name: 'a', version: versions[0] },
      head: { sync_count: 2, sent: null, deleting: true, absorbed: {} },
      records: [
        ['x', record('short')],
        ['y', null],
        ['new', record('long '.repeat(40))],
      ],
    },
    { identity: 'me', name: 'b', version: versions[1], drop: true },
  ];
  return { store, changes };
}

async function everything(area) {
  const store = openStore(await localStorage({ area }).open('pool'));
  const names = (await store.list()).sort();
  const copies = await Promise.all(names.map(([identity, name]) => store.load(identity, name)));
  return JSON.stringify(copies.map(({ head, records }) => [head, [...records].sort()]));
}

test('local storage has a change as a whole or not at all, wherever it ends', async () => {
  const outcomes = new Set();
  for (let left = 0, isDone = false; !isDone; left++) {
    const area = new Area();
    const { store, changes } = await prepare(area);
    const before = await everything(area);
    area.left = left;
    isDone = Boolean(await store.commit(changes).catch(() => 0));
    area.left = Infinity;
    const after = await everything(area);
    if (isDone) assert.notEqual(after, before);
    else assert.equal(after, before, `after ${left} operations`);
    outcomes.add(isDone);
    // It may end again while it is put right.
    for (let again = 0; again < 12 && !isDone; again++) {
      const other = new Area();
      const prepared = await prepare(other);
      other.left = left;
      await prepared.store.commit(prepared.changes).catch(() => 0);
      other.left = again;
      await everything(other).catch(() => 0);
      other.left = Infinity;
      assert.equal(await everything(other), before, `after ${left} and ${again} operations`);
    }
  }
  assert.equal(outcomes.size, 2);
});

test('local storage that is full says so, and has what it had', async () => {
  const sizes = { refused: 0, taken: 0 };
  for (let more = 0; !sizes.taken; more += 20) {
    const area = new Area();
    const { store, changes } = await prepare(area);
    const before = await everything(area);
    area.charsMax = area.chars + more;
    if (more % 40) area.full = 'NS_ERROR_DOM_QUOTA_REACHED';
    try {
      await store.commit(changes);
      sizes.taken++;
    } catch (error) {
      assert.ok(error instanceof StorageFullError);
      assert.equal(error.code, 'StorageFull');
      assert.equal(await everything(area), before);
      sizes.refused++;
    }
  }
  assert.ok(sizes.refused > 5);
});

test('a storage that is not there is told of at once', async () => {
  await assert.rejects(localStorage().open('pool'), /no localStorage here/);
});

test('local storage leaves alone what another process did, whose end it shows late', async (context) => {
  const navigator = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  const locks = { request: async (_name, work) => work() };
  Object.defineProperty(globalThis, 'navigator', { value: { locks }, configurable: true });
  context.after(() => {
    delete globalThis.navigator;
    if (navigator) Object.defineProperty(globalThis, 'navigator', navigator);
  });
  const area = new Area();
  const { store, changes } = await prepare(area);
  const { setItem } = area;
  let journal;
  area.setItem = (name, text) => {
    if (name.endsWith('journal')) journal = [name, text];
    setItem.call(area, name, text);
  };
  assert.ok(await store.commit(changes));
  const after = await everything(area);
  area.texts.set(...journal);
  setTimeout(() => area.texts.delete(journal[0]), 30);
  assert.equal(await everything(area), after);
});
