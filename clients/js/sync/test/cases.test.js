/** The cases that clients of all languages keep, with the rules of this one. */

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

import { ASIDE, EMPTY, mine, newest, theirs, written } from '../src/rules/copies.js';
import { follow } from '../src/rules/following.js';
import { advance, start } from '../src/rules/session.js';

const NAME = 'prefs';
const CASES = new URL('../../../../tests/client_cases/', import.meta.url);
const OTHER_FORMS = ['following', 'quota', 'codec', 'signing']; // with tests of their own
const unreadable = (key, base, mine, theirs) => (theirs.value == null ? mine.value : ASIDE);
const MERGES = { newest, mine, theirs, unreadable };
const NO_RECORD = {
  value: null,
  base: null,
  base_count: 0,
  dirty: false,
  edit: 0,
  modified_ms: 0,
  refused: null,
};

/** A copy as the rules have it, of one as a case has it. */
function asCopy({ records = {}, ...rest }) {
  const filled = Object.entries(records).map(([key, each]) => [key, { ...NO_RECORD, ...each }]);
  return { ...EMPTY, ...rest, records: new Map(filled) };
}

/** What is left of a value without its nulls, zeros and empty members, as a case has it. */
function asCase(value, keep = []) {
  if (value instanceof Map) value = Object.fromEntries(value);
  if (Array.isArray(value)) return value.map((each) => asCase(each, ['op', 'key', 'sync_count']));
  if (value === null || typeof value !== 'object') return value;
  const full = ([key, each]) =>
    keep.includes(key) ||
    !(
      each === null ||
      each === 0 ||
      each === false ||
      (typeof each === 'object' && !Object.keys(each).length)
    );
  const entries = Object.entries(value).map(([key, each]) => [key, asCase(each)]);
  return Object.fromEntries(entries.filter(full));
}

/** The cases of a form, which the names of its files begin with. */
function* cases(form) {
  for (const file of readdirSync(CASES).sort()) {
    const of = OTHER_FORMS.find((each) => file.startsWith(each)) ?? '';
    if (!file.endsWith('.json') || of !== form) continue;
    const found = JSON.parse(readFileSync(new URL(file, CASES), 'utf8'));
    for (const each of found) yield [`${file}: ${each.case}`, each];
  }
}

for (const [name, each] of cases('')) {
  test(name, () => {
    const merge = MERGES[each.merge ?? 'newest'];
    let session = start(NAME, asCopy(each.copy));
    for (const { effect, event, meanwhile = [] } of each.exchange) {
      assert.deepEqual(asCase(session.effect, ['since']), effect);
      const records = new Map(session.copy.records);
      for (const [key, value, now_ms] of meanwhile) {
        records.set(key, written(records.get(key), value, now_ms));
      }
      const filled = { sync_count: 0, ...event };
      session = advance({ ...session, copy: { ...session.copy, records } }, filled, merge);
    }
    assert.deepEqual(asCase(session.effect), { do: 'done', ...each.report });
    assert.deepEqual(asCase(session.copy), asCase(asCopy(each.after)));
  });
}

for (const [name, each] of cases('following')) {
  test(name, () => {
    const [account, guest] = [each.account, each.guest].map(asCopy);
    const after = follow(account, guest, `${NAME}.guest`, MERGES[each.merge ?? 'newest']);
    assert.deepEqual(asCase(after), asCase(asCopy(each.after)));
  });
}

test('of one moment the value with the greater code points counts', () => {
  const wide = '\u{1F600}'; // by UTF-16 units it would come before the other one
  const narrow = '\uFF21';
  const local = (value) => ({ ...NO_RECORD, value, dirty: true, modified_ms: 5 });
  const remote = (value) => ({ key: 'a', value, sync_count: 1, modified_ms: 5 });

  assert.equal(newest('a', null, local(wide), remote(narrow)), wide);
  assert.equal(newest('a', null, local(narrow), remote(wide)), wide);
  assert.equal(newest('a', null, local('b' + narrow), remote('b')), 'b' + narrow);
  assert.equal(newest('a', null, local(null), remote('')), '');
});
