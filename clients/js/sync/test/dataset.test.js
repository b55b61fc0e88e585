import assert from 'node:assert/strict';
import { test } from 'node:test';

import { json } from '../src/codec.js';
import { ConflictError, StorageFullError, UnansweredError, UnsentError } from '../src/errors.js';
import { theirs } from '../src/rules/copies.js';
import { localStorage } from '../src/storage/local-storage.js';
import { memory } from '../src/storage/memory.js';
import { openStore } from '../src/storage/store.js';
import { openSync } from '../src/sync.js';
import { Area } from './area.js';
import { device, ME, Person, Server } from './world.js';

const LOST = { is: 'lost', error: new Error('away') };
const asObject = async (dataset) => Object.fromEntries(await dataset.items());

async function one(more) {
  const server = new Server();
  const storage = memory();
  const sync = await device(server, storage, more);
  return { server, storage, sync, prefs: sync.dataset('prefs') };
}

test('what is written is there at once, offline, and after a new start', async () => {
  const { server, storage, prefs } = await one({ person: new Person(null) });
  await prefs.set('colour', 'teal');
  await prefs.set('size', '');
  await prefs.set('__proto__', 'kept');
  await prefs.set('gone', 'x');
  await prefs.remove('gone');

  const again = (await device(server, storage)).dataset('prefs');
  const expected = new Map([
    ['colour', 'teal'],
    ['size', ''],
    ['__proto__', 'kept'],
  ]);
  assert.deepEqual(await again.items(), expected);
  assert.equal(await again.get('gone'), undefined);
  assert.equal(await again.get('toString'), undefined);
  assert.deepEqual((await again.status()).unsent, ['colour', 'size', '__proto__']);
});

test('a synchronization brings both sides together, and says what it did', async () => {
  const { server, prefs } = await one();
  server.write('prefs', [{ key: 'a', value: '1' }]);
  await prefs.set('b', '2');

  const report = await prefs.sync();
  const expected = { pulled: ['a'], pushed: ['b'], merged: [], setAside: {}, attempts: 1 };
  assert.deepEqual(report, expected);
  assert.deepEqual(await asObject(prefs), { a: '1', b: '2' });
  assert.deepEqual(server.values('prefs'), { a: '1', b: '2' });
  const { lastSync, ...status } = await prefs.status();
  assert.deepEqual(status, { unsent: [], setAside: {}, lastError: null });
  assert.equal(lastSync, server.now);
});

test('what is written while an update is under way is kept, and goes with it', async () => {
  const after = async (effect) => {
    if (effect.do === 'push' && (await prefs.get('a')) === '1') await prefs.set('a', '2');
  };
  const { server, prefs } = await one({ after });
  await prefs.set('a', '1');
  const report = await prefs.sync();
  assert.deepEqual(report.pushed, ['a']);
  assert.deepEqual(server.values('prefs'), { a: '2' });
});

test('one synchronization at a time: who asks meanwhile gets the next one', async () => {
  let under = 0;
  const calls = [];
  const before = async (effect) => {
    calls.push(effect.do);
    assert.equal(++under, 1);
    await new Promise(setImmediate);
    under--;
  };
  const { server, prefs } = await one({ before });
  await prefs.set('a', '1');
  const first = prefs.sync();
  await new Promise(setImmediate);
  await prefs.set('b', '2');
  const [second, third] = [prefs.sync(), prefs.sync()];
  assert.equal(second, third);
  assert.deepEqual((await first).pushed, ['a', 'b']);
  assert.deepEqual((await second).pushed, []);
  assert.deepEqual(server.values('prefs'), { a: '1', b: '2' });
  assert.deepEqual(calls, ['list', 'push', 'list']);
});

test('who knows all that there is needs no listing to send a change', async () => {
  const calls = [];
  const { server, prefs } = await one({ before: (effect) => void calls.push(effect.do) });
  for (const value of ['1', '2', '3']) {
    await prefs.set('a', value);
    assert.equal((await prefs.sync()).attempts, 1);
  }
  assert.deepEqual(calls, ['list', 'push', 'push', 'push']);

  server.write('prefs', [{ key: 'b', value: 'of another device' }]);
  await prefs.set('a', '4');
  const report = await prefs.sync();
  assert.deepEqual([report.pulled, report.pushed], [['b'], ['a']]);
  server.endSessions();
  await prefs.set('a', '5');
  await prefs.sync();
  assert.deepEqual(server.values('prefs'), { a: '5', b: 'of another device' });
  assert.deepEqual(calls.slice(4), ['push', 'list', 'list', 'push']);
});

test('without an answer a typed error says so, and the next one goes on', async () => {
  let lost = true;
  const { server, prefs } = await one({ after: () => (lost ? LOST : null) });
  await prefs.set('a', 'secret');
  const error = await prefs.sync().catch((each) => each);
  assert.ok(error instanceof UnansweredError);
  assert.deepEqual([error.code, error.dataset, error.cause], ['Unanswered', 'prefs', LOST.error]);
  assert.deepEqual(error.report.attempts, 1);
  assert.equal((await prefs.status()).lastError, error);
  lost = false;
  assert.deepEqual((await prefs.sync()).pushed, ['a']);
  assert.deepEqual(server.values('prefs'), { a: 'secret' });
  assert.equal((await prefs.status()).lastError, null);
});

test('an error that is final names dataset, keys and counts, and no value', async () => {
  const conflict = { is: 'refused', code: 'ResourceConflictException' };
  const { prefs } = await one({ before: (effect) => (effect.do === 'push' ? conflict : null) });
  for (const key of ['a', 'b', 'c', 'd', 'e']) await prefs.set(key, `secret of ${key}`);
  const error = await prefs.sync().catch((each) => each);
  assert.ok(error instanceof ConflictError);
  assert.deepEqual(error.counts, { a: 0, b: 0, c: 0, d: 0, e: 0 });
  assert.match(error.message, /^"prefs" .*"a" \(count 0\), .* 2 more/);
  assert.doesNotMatch(JSON.stringify(error) + error.stack, /secret/);
  assert.equal(error.report.attempts, 3);
});

test('what the server refuses is set aside and named, and the others go on', async () => {
  const { server, prefs } = await one();
  server.valueChars = 10;
  for (const [key, value] of Object.entries({ a: 'good', b: 'far too long a value', c: 'good' })) {
    await prefs.set(key, value);
  }
  const report = await prefs.sync();
  assert.deepEqual(report.setAside, { b: 'InvalidParameterException' });
  assert.deepEqual(server.values('prefs'), { a: 'good', c: 'good' });
  assert.deepEqual((await prefs.status()).setAside, report.setAside);
  await prefs.set('b', 'short');
  assert.deepEqual((await prefs.sync()).pushed, ['b']);
});

test('a merge is asked with values, may take its time, and may not write what it was not given', async () => {
  const server = new Server();
  const asked = [];
  const merge = async (key, base, mine, theirs) => {
    asked.push([key, base, mine, theirs]);
    await new Promise(setImmediate);
    return key === 'gone' ? null : [...mine, ...theirs];
  };
  const sync = await device(server, memory());
  const lists = sync.dataset('lists', { merge, codec: json() });
  server.write('lists', [
    { key: 'a', value: '["theirs"]' },
    { key: 'gone', value: '[0]' },
  ]);
  await lists.set('a', ['mine']);
  await lists.set('gone', [1]);
  const report = await lists.sync();
  assert.deepEqual(asked, [
    ['a', undefined, ['mine'], ['theirs']],
    ['gone', undefined, [1], [0]],
  ]);
  assert.deepEqual(report.merged, ['a', 'gone']);
  assert.deepEqual(server.values('lists'), { a: '["mine","theirs"]' });

  const forgetful = sync.dataset('forgetful', { merge: () => {} });
  server.write('forgetful', [{ key: 'a', value: 'theirs' }]);
  await forgetful.set('a', 'mine');
  await assert.rejects(forgetful.sync(), /The merge gives nothing for "a"/);
  assert.equal(await forgetful.get('a'), 'mine');
  assert.deepEqual(server.values('forgetful'), { a: 'theirs' });
});

test('a merge may write to the dataset that it is asked about', async () => {
  const { server, sync } = await one();
  const notes = sync.dataset('notes', {
    async merge(key, base, mine, theirs) {
      await notes.set('log', `${key} was merged`);
      return `${mine} ${theirs}`;
    },
  });
  server.write('notes', [{ key: 'a', value: 'theirs' }]);
  await notes.set('a', 'mine');
  await notes.sync();
  assert.deepEqual(server.values('notes'), { a: 'mine theirs', log: 'a was merged' });
});

test('who subscribes is told of the keys that it named, once a commit and in order', async () => {
  const { server, prefs } = await one();
  const [some, all] = [[], []];
  const end = prefs.subscribe(['a', 'c'], (changes) => some.push(changes));
  prefs.subscribe((changes) => all.push(changes));
  await prefs.set('a', '1');
  await prefs.set('b', '1');
  server.write('prefs', [
    { key: 'c', value: '3' },
    { key: 'd', value: '4' },
  ]);
  await prefs.sync();
  await prefs.remove('a');
  await new Promise(setImmediate);
  assert.deepEqual(some, [{ a: '1' }, { c: '3' }, { a: undefined }]);
  assert.deepEqual(all, [{ a: '1' }, { b: '1' }, { c: '3', d: '4' }, { a: undefined }]);
  end();
  await prefs.set('a', '2');
  await prefs.delete();
  await new Promise(setImmediate);
  assert.equal(some.length, 3);
  assert.deepEqual(Object.keys(all.at(-1)).sort(), ['a', 'b', 'c', 'd']);
});

test('a deletion is one here at once, also in the middle of an update, and there with the next', async () => {
  let isUnder = false;
  const after = async (effect) => {
    if (effect.do === 'push' && !isUnder) {
      isUnder = true;
      await prefs.delete();
      await prefs.set('new', '1');
    }
  };
  const { server, prefs } = await one({ after });
  await prefs.set('old', '1');
  await prefs.sync();
  assert.deepEqual(await asObject(prefs), { new: '1' });
  assert.deepEqual(server.values('prefs'), { new: '1' });
});

test('two tabs see what the other one stores, and none undoes it', async () => {
  const { server, storage, prefs } = await one();
  const other = (await device(server, storage)).dataset('prefs', { merge: theirs });
  await prefs.set('a', '1');
  await other.refresh();
  assert.equal(await other.get('a'), '1');
  await Promise.all([
    prefs.set('b', '1'),
    other.set('c', '1'),
    prefs.set('d', '1'),
    other.remove('a'),
  ]);
  const told = [];
  prefs.subscribe((changes) => told.push(changes));
  await prefs.refresh();
  assert.deepEqual(await asObject(prefs), { b: '1', c: '1', d: '1' });
  await Promise.all([prefs.sync(), other.sync()]);
  await other.refresh();
  assert.deepEqual(await asObject(other), server.values('prefs'));
  assert.deepEqual(server.values('prefs'), { b: '1', c: '1', d: '1' });
  assert.deepEqual((await other.status()).unsent, []);
});

test('many writes at once are few commits, in order, and one that fails is alone', async () => {
  const area = new Area();
  const sync = await device(new Server(), localStorage({ area }));
  const prefs = sync.dataset('prefs');
  await prefs.set('a', 'before');
  area.charsMax = area.chars + 1500;
  const writes = [
    prefs.set('a', '1'),
    prefs.set('big', 'x'.repeat(5000)),
    prefs.set('b', '2'),
    prefs.set('a', '3'),
  ];
  const [, big, ...others] = await Promise.allSettled(writes);
  assert.ok(big.reason instanceof StorageFullError);
  assert.deepEqual([big.reason.dataset, big.reason.key], ['prefs', 'big']);
  assert.deepEqual(
    others.map((each) => each.status),
    ['fulfilled', 'fulfilled'],
  );
  assert.deepEqual(await asObject(prefs), { a: '3', b: '2' });
  const again = (await device(new Server(), localStorage({ area }))).dataset('prefs');
  assert.deepEqual(await asObject(again), { a: '3', b: '2' });
});

test('a synchronization that finds no room says so, loses nothing and sends nothing', async () => {
  const area = new Area();
  const calls = [];
  const before = (effect) => void calls.push(effect.do);
  const server = new Server();
  const sync = await device(server, localStorage({ area }), { before });
  const prefs = sync.dataset('prefs');
  server.write('prefs', [{ key: 'large', value: 'x'.repeat(900) }]);
  await prefs.set('a', 'mine');
  area.charsMax = area.chars + 600;
  const error = await prefs.sync().catch((each) => each);
  assert.ok(error instanceof StorageFullError);
  assert.deepEqual([error.dataset, error.report.pushed, calls], ['prefs', [], ['list']]);
  assert.deepEqual(await asObject(prefs), { a: 'mine' });

  area.charsMax = Infinity;
  await prefs.sync();
  const all = { a: 'mine', large: 'x'.repeat(900) };
  assert.deepEqual(await asObject(prefs), all);
  assert.deepEqual(server.values('prefs'), all);
});

test('writes keep their order also where a codec takes its time', async () => {
  const { sync } = await one();
  const codec = {
    ...{ name: 'slow', version: 0, decode: (text) => text },
    async encode(value) {
      for (let n = 0; n < Number(value); n++) await new Promise(setImmediate);
      if (value === '0') throw new RangeError('none of that');
      return value;
    },
  };
  const prefs = sync.dataset('slow', { codec });
  const outcomes = await Promise.allSettled(['5', '0', '1'].map((value) => prefs.set('a', value)));
  assert.deepEqual(
    outcomes.map((each) => each.status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.equal(await prefs.get('a'), '1');
});

test('data is kept per identity: another one who signs in sees nothing of it', async () => {
  const { server, storage, sync, prefs } = await one();
  await prefs.set('a', 'mine');
  await prefs.sync();
  await prefs.set('b', 'not sent');
  const other = (await device(server, storage, { person: new Person('us-east-1:2e') })).dataset(
    'prefs',
  );
  await other.sync();
  assert.deepEqual(await asObject(other), {});
  assert.deepEqual(server.values('prefs', 'us-east-1:2e'), {});
  await prefs.refresh();
  assert.deepEqual(await asObject(prefs), { a: 'mine', b: 'not sent' });
  assert.equal(sync.identityId, ME);
});

test('another one who signs in within a session takes nothing along', async () => {
  const person = new Person();
  const { server, sync, prefs } = await one({ person });
  const told = [];
  await prefs.set('a', 'mine');
  await prefs.sync();
  prefs.subscribe((changes) => told.push(changes));
  await prefs.set('b', 'not sent');
  person.is = 'us-east-1:2e';
  server.write('prefs', [{ key: 'c', value: 'theirs' }], person.is);
  await prefs.sync();
  assert.deepEqual(await asObject(prefs), { c: 'theirs' });
  assert.deepEqual(server.values('prefs', person.is), { c: 'theirs' });
  assert.deepEqual(told, [{ b: 'not sent' }, { a: undefined, b: undefined }, { c: 'theirs' }]);
  person.is = ME;
  await prefs.sync();
  assert.deepEqual(server.values('prefs', ME), { a: 'mine', b: 'not sent' });
  assert.deepEqual((await sync.status()).identityId, ME);
});

test('what nobody had signed in for, and what a guest wrote, follows into the account', async () => {
  const person = new Person(null);
  const { server, storage, sync, prefs } = await one({ person });
  const account = 'us-east-1:2e';
  await prefs.set('a', 'first');
  await assert.rejects(prefs.sync(), UnansweredError);
  assert.equal(await prefs.get('a'), 'first');
  person.is = ME;
  await prefs.sync();
  assert.deepEqual(server.values('prefs'), { a: 'first' });

  server.write('prefs', [{ key: 'c', value: "the account's" }], account);
  await prefs.set('b', 'not sent');
  await sync.dataset('closed').set('x', '1');
  await person.mergeInto(server, account);
  await prefs.sync();
  assert.equal(sync.identityId, account);
  const all = { a: 'first', b: 'not sent', c: "the account's" };
  assert.deepEqual(await asObject(prefs), all);
  assert.deepEqual(server.values('prefs', account), all);
  assert.equal(server.dataset(`prefs.${ME}`, account).exists, false);
  const again = await device(server, storage, { person });
  assert.deepEqual(await again.datasets(), ['closed', 'prefs']);
  assert.equal(await again.dataset('closed').get('x'), '1');
});

test('an identity that was merged while the app was away follows at the next start', async () => {
  const person = new Person();
  const { server, storage, prefs } = await one({ person });
  await prefs.set('a', 'not sent');
  await prefs.sync();
  await prefs.set('b', 'not sent');
  await person.mergeInto(server, 'us-east-1:2e');
  const again = (await device(server, storage, { person })).dataset('prefs');
  assert.deepEqual(await asObject(again), { a: 'not sent', b: 'not sent' });
});

test('signing out tells what was not sent, and takes the data away', async () => {
  const { server, storage, sync, prefs } = await one();
  await prefs.set('a', 'secret');
  await prefs.sync();
  await prefs.set('b', 'secret');
  await sync.dataset('other').set('c', 'secret');
  await sync.dataset('doomed').delete();
  const error = await sync.signOut().catch((each) => each);
  assert.ok(error instanceof UnsentError);
  assert.deepEqual(error.unsent, { prefs: ['b'], other: ['c'], doomed: [] });
  assert.doesNotMatch(error.stack + JSON.stringify(error), /secret/);
  assert.deepEqual(await asObject(prefs), { a: 'secret', b: 'secret' });

  await prefs.sync();
  await sync.signOut({ discard: true });
  assert.deepEqual(await asObject(prefs), {});
  assert.equal(sync.identityId, '');
  assert.deepEqual(await openStore(await storage.open('pool')).list(), []);
  const next = await device(server, storage, { person: new Person('us-east-1:2e') });
  assert.deepEqual(await asObject(next.dataset('prefs')), {});
});

test('a synchronization ends when the user signs out in the middle of it', async () => {
  const { prefs, sync, server } = await one({
    before: async (effect) => {
      if (effect.do === 'push') await sync.signOut({ discard: true });
    },
  });
  await prefs.set('a', '1');
  await assert.rejects(prefs.sync(), { code: 'SignedOut', dataset: 'prefs' });
  assert.deepEqual(await asObject(prefs), {});
  assert.deepEqual(server.values('prefs', ''), {});
});

test('datasets are those of this device, and of the server where it is asked', async () => {
  const { server, sync, prefs } = await one();
  await prefs.set('a', '1');
  server.write('elsewhere', [{ key: 'a', value: '1' }]);
  assert.deepEqual(await sync.datasets(), ['prefs']);
  assert.deepEqual(await sync.datasets({ ask: true }), ['elsewhere', 'prefs']);
  assert.equal(sync.dataset('prefs'), prefs);
  assert.throws(() => sync.dataset('prefs', { merge: theirs }), /another merge/);
  assert.throws(() => sync.dataset('no name'), TypeError);
});

test('what is no text is refused before it is stored, and the error does not tell it', async () => {
  const { prefs } = await one();
  for (const value of [undefined, null, 5, { secret: 1 }]) {
    await assert.rejects(prefs.set('a', value), (error) => !/secret/.test(error.message));
  }
  for (const key of [null, undefined, 5]) await assert.rejects(prefs.set(key, 'x'), TypeError);
  await assert.rejects(prefs.set('', 'x'), { code: 'Quota', limit: 'record_key_chars', number: 0 });
  assert.deepEqual(await asObject(prefs), {});
});

test('a client that was closed says so', async () => {
  const { sync, prefs } = await one();
  await prefs.set('a', '1');
  await sync.close();
  for (const use of [prefs.get('a'), prefs.set('a', '2'), prefs.sync(), sync.datasets()]) {
    await assert.rejects(use, { code: 'Closed' });
  }
});

test('openSync says what it lacks', async () => {
  await assert.rejects(openSync({ endpoint: 'http://x' }), /needs pool/);
});
