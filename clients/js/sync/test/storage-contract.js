/**
 * What a storage has to do, for those in Node.js and, in a page, for those of the browser. So
 * nothing is imported here but the rules.
 *
 * Each fact is given a storage that is empty; opening it again is what another tab does.
 */

import { openStore } from '../src/storage/store.js';

const opened = async (storage, namespace = 'pool') => openStore(await storage.open(namespace));

const NO_RECORD = {
  value: null,
  base: null,
  base_count: 0,
  dirty: false,
  edit: 0,
  modified_ms: 0,
  refused: null,
};
const HEAD = { sync_count: 7, sent: null, deleting: false, absorbed: { 'a.old': 3 } };

const record = (more) => ({ ...NO_RECORD, ...more });
const CLEAN = record({ value: 'v', base: 'v', base_count: 4, modified_ms: 5 });
const WRITTEN = record({ value: 'w', base: 'v', base_count: 4, dirty: true, edit: 2 });
const REMOVED = record({ base: 'v', base_count: 4, dirty: true, edit: 1, refused: 'No' });

/** Members in the order of their names, so that two that are equal read the same. */
function told(value) {
  if (value instanceof Map) return { map: [...value].map(told).sort() };
  if (Array.isArray(value)) return value.map(told);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((each) => [each, told(value[each])]),
  );
}

export function same(found, expected) {
  const [one, other] = [found, expected].map((each) => JSON.stringify(told(each)));
  if (one !== other) throw new Error(`${one}\nis not\n${other}`);
}

/** Commit one change; what is left out is that of the dataset `a` of `me`. */
const commit = (store, change) =>
  store.commit([{ identity: 'me', name: 'a', version: 0, ...change }]);

export const contract = {
  async 'has nothing at first'(storage) {
    const store = await opened(storage);
    same(await store.load('me', 'a'), { version: 0, head: null, records: new Map() });
    same(await store.list(), []);
    same(await store.get('text'), null);
  },

  async 'gives back what was committed, also to another tab'(storage) {
    const store = await opened(storage);
    const records = new Map([
      ['clean', CLEAN],
      ['written', WRITTEN],
      ['removed', REMOVED],
      ['empty', record({ value: '', base: '', base_count: 1 })],
      ['__proto__', CLEAN],
      ['1', WRITTEN],
      ['\u{1F600}/"\\ ,é\0', CLEAN],
    ]);
    const version = await commit(store, { head: HEAD, records });
    const there = await (await opened(storage)).load('me', 'a');
    same(there, { version, head: HEAD, records });
  },

  async 'changes the records that are named, and no others'(storage) {
    const store = await opened(storage);
    const before = new Map([
      ['a', CLEAN],
      ['b', CLEAN],
      ['c', CLEAN],
    ]);
    const version = await commit(store, { head: HEAD, records: before });
    await commit(store, {
      version,
      records: [
        ['b', WRITTEN],
        ['c', null],
        ['d', null],
      ],
    });
    const { head, records } = await store.load('me', 'a');
    same(
      records,
      new Map([
        ['a', CLEAN],
        ['b', WRITTEN],
      ]),
    );
    same(head, HEAD);
  },

  async 'keeps records where only the head is another one'(storage) {
    const store = await opened(storage);
    const version = await commit(store, { records: [['a', CLEAN]] });
    await commit(store, { version, head: HEAD });
    const { head, records } = await store.load('me', 'a');
    same([head, records], [HEAD, new Map([['a', CLEAN]])]);
  },

  async 'refuses what was decided on something older'(storage) {
    const store = await opened(storage);
    const other = await opened(storage);
    const first = await commit(store, { records: [['a', CLEAN]] });
    const second = await commit(other, { version: first, records: [['b', CLEAN]] });
    if (!first || !second || first === second) throw new Error(`${first} and ${second}`);
    for (const version of [0, first]) {
      same(await commit(store, { version, records: [['a', WRITTEN]] }), 0);
    }
    same(
      (await store.load('me', 'a')).records,
      new Map([
        ['a', CLEAN],
        ['b', CLEAN],
      ]),
    );
  },

  async 'lets one of several win that commit at once'(storage) {
    const stores = await Promise.all([1, 2, 3, 4].map(() => opened(storage)));
    const versions = await Promise.all(
      stores.map((store, at) => commit(store, { records: [[String(at), CLEAN]] })),
    );
    same(versions.filter(Boolean).length, 1);
    same((await stores[0].load('me', 'a')).records.size, 1);
  },

  async 'never has a version again, also when the dataset went and came back'(storage) {
    const store = await opened(storage);
    const version = await commit(store, { records: [['a', CLEAN]] });
    await commit(store, { version, drop: true });
    same(await store.load('me', 'a'), { version: 0, head: null, records: new Map() });
    await commit(store, { records: [['b', CLEAN]] });
    same(await commit(store, { version, records: [['a', WRITTEN]] }), 0);
  },

  async 'commits to several datasets, or to none'(storage) {
    const store = await opened(storage);
    const from = await commit(store, { identity: '', records: [['a', WRITTEN]] });
    const moved = [
      { identity: '', name: 'a', version: from, drop: true },
      { identity: 'me', name: 'a', version: 99, records: [['a', WRITTEN]] },
    ];
    same(await store.commit(moved), 0);
    same((await store.load('', 'a')).records, new Map([['a', WRITTEN]]));
    same((await store.load('me', 'a')).records, new Map());
    moved[1].version = 0;
    await store.commit(moved);
    same((await store.load('', 'a')).records, new Map());
    same((await store.load('me', 'a')).records, new Map([['a', WRITTEN]]));
    same(await store.list(), [['me', 'a']]);
  },

  async 'keeps datasets, identities and pools apart'(storage) {
    const store = await opened(storage);
    const names = [
      ['me', 'a'],
      ['me', 'a.b'],
      ['me,', 'a'],
      ['', 'me'],
      ['you', 'a'],
    ];
    for (const [identity, name] of names) {
      await store.commit([{ identity, name, version: 0, records: [[identity + name, CLEAN]] }]);
    }
    same((await store.list()).sort(), [...names].sort());
    for (const [identity, name] of names) {
      same((await store.load(identity, name)).records, new Map([[identity + name, CLEAN]]));
    }
    same(await (await opened(storage, 'another')).list(), []);
    same((await (await opened(storage, 'another')).load('me', 'a')).version, 0);
  },

  async 'keeps texts, and takes them away'(storage) {
    const store = await opened(storage);
    await store.put({ one: '1', two: '' });
    await store.put({ one: null, three: '3' });
    const names = ['one', 'two', 'three'];
    same(await Promise.all(names.map((each) => store.get(each))), [null, '', '3']);
    same(await (await opened(storage)).get('three'), '3');
    same(await (await opened(storage, 'another')).get('three'), null);
    same(await store.list(), []);
  },
};

/** Run it all; what did not hold, by name. `fresh` makes a storage that is empty. */
export async function failures(fresh) {
  const found = {};
  for (const [name, fact] of Object.entries(contract)) {
    try {
      await fact(await fresh());
    } catch (error) {
      found[name] = String(error.stack ?? error);
    }
  }
  return found;
}
