import assert from 'node:assert/strict';
import { test } from 'node:test';

import { openTabs } from '../src/tabs.js';

test('the others hear what is said, and whoever says it does not', async (t) => {
  const awake = setInterval(() => {}, 1000); // what is heard keeps no program from its end
  t.after(() => clearInterval(awake));
  /** @type {string[]} */
  const heard = [];
  const told = new Promise((resolve) => {
    const a = openTabs('app', { onMessage: (message) => heard.push(`a ${message}`) });
    const b = openTabs('app', { onMessage: (message) => resolve(heard.push(`b ${message}`)) });
    const other = openTabs('another app', { onMessage: () => heard.push('other') });
    for (const each of [a, b, other]) t.after(() => each.close());
    a.post('changed');
  });

  await told;

  assert.deepEqual(heard, ['b changed']);
});

test('one at a time does a thing, and a failure holds up nobody', async (t) => {
  const tabs = openTabs('app');
  t.after(() => tabs.close());
  let under = 0;
  const work = async () => {
    assert.equal(++under, 1);
    await new Promise((resolve) => setImmediate(resolve));
    under--;
    throw new Error('no');
  };

  const all = await Promise.allSettled([1, 2, 3].map(() => tabs.exclusive('prefs', work)));

  assert.deepEqual(all.map(({ status }) => status), Array(3).fill('rejected'));
  assert.equal(await tabs.exclusive('prefs', async () => 7), 7);
});

test('where tabs cannot agree each one leads, until it is closed', async () => {
  if (globalThis.navigator?.locks) return; // a newer Node.js; a browser's test has the rest
  let led = 0;
  const tabs = [1, 2].map(() => openTabs('app', { onLead: () => led++ }));
  await Promise.resolve();

  assert.equal(led, 2);
  assert.ok(tabs.every((each) => each.leading && !each.agree));
  tabs.forEach((each) => each.close());
  assert.ok(tabs.every((each) => !each.leading));
  tabs[0].post('nothing'); // is heard by nobody, and does no harm
});
