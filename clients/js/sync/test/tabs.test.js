import assert from 'node:assert/strict';
import { test } from 'node:test';

import { canAgree, openTabs } from '../src/tabs.js';

test('the others hear what is said, and whoever says it does not', async (t) => {
  const awake = setInterval(() => {}, 1000); // what is heard keeps no program from its end
  t.after(() => clearInterval(awake));
  /** @type {string[]} */
  const heard = [];
  const onLead = () => {};
  const told = new Promise((resolve) => {
    const a = openTabs('app', (message) => heard.push(`a ${message}`), onLead);
    const b = openTabs('app', (message) => resolve(heard.push(`b ${message}`)), onLead);
    const other = openTabs('another app', () => heard.push('other'), onLead);
    for (const each of [a, b, other]) t.after(() => each.close());
    a.post('changed');
  });

  await told;

  assert.deepEqual(heard, ['b changed']);
});

test('where tabs cannot agree each one leads, until it is closed', async () => {
  if (canAgree()) return; // a newer Node.js; a browser's test has the rest
  let led = 0;
  const tabs = [1, 2].map(() => openTabs('app', () => {}, () => led++));
  await new Promise(setImmediate);

  assert.equal(led, 2);
  assert.ok(tabs.every((each) => each.leading));
  tabs.forEach((each) => each.close());
  assert.ok(tabs.every((each) => !each.leading));
  tabs[0].post('nothing'); // is heard by nobody, and does no harm
});
