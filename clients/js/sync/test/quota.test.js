import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import { datasetExcess, excess, usage, written } from '../src/rules/quota.js';

/** @param {string} name @returns {any[]} */
const cases = (name) =>
  JSON.parse(
    readFileSync(new URL(`../../../../tests/client_cases/${name}.json`, import.meta.url), 'utf8'),
  );

/** @param {any} told */
const text = (told) => (Array.isArray(told?.repeat) ? told.repeat[0].repeat(told.repeat[1]) : told);

/** @param {number} number @param {string} letter */
const many = (number, letter) => Array.from({ length: number }, (_, n) => `${letter}${n}`);

for (const each of cases('quota')) {
  test(`quota: ${each.case}`, () => {
    const held = each.held?.many
      ? many(each.held.many, 'k').map((key) => [key, '1'])
      : Object.entries(each.held ?? {}).filter(([, value]) => value !== null);
    const [key, before, after] = each.write.map(text);

    assert.deepEqual(excess(usage(held), key, before, after, each.limits), each.excess);
  });
}

for (const each of cases('quota_datasets')) {
  test(`quota of datasets: ${each.case}`, () => {
    const others = each.others.many ? many(each.others.many, 'd') : each.others;

    assert.deepEqual(datasetExcess(text(each.name), others, each.limits), each.excess);
  });
}

test('quota: what is held is counted write by write as it is in all', () => {
  const values = new Map([['a', '1'], ['ä', '𝄞']]);
  let held = usage(values);
  for (const [key, value] of [['b', '€'], ['a', null], ['ä', ''], ['b', 'xx']]) {
    held = written(held, String(key), values.get(String(key)) ?? null, value);
    if (value === null) values.delete(String(key));
    else values.set(String(key), String(value));

    assert.deepEqual(held, usage(values));
  }
});
