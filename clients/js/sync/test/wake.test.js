import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createWake } from '../src/wake.js';

const settled = async () => {
  for (let turns = 0; turns < 10; turns++) await Promise.resolve();
};

/**
 * @param {import('node:test').TestContext} t
 * @param {(number | null | { retryable?: boolean, retryAfterMs?: number })[]} outcomes of the runs
 */
function waker(t, ...outcomes) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  t.mock.method(Math, 'random', () => 1); // the longest pauses
  let runs = 0;
  let wakes = 0;
  const window = new EventTarget();
  const document = Object.assign(new EventTarget(), { visibilityState: 'visible' });
  const run = async () => /** @type {any} */ (outcomes[Math.min(runs++, outcomes.length - 1)]);
  const wake = createWake(run, () => wakes++, window, document);
  t.after(() => wake.close());
  return {
    wake,
    window,
    document,
    runs: () => runs,
    wakes: () => wakes,
    /** @param {number} ms */
    async pass(ms) {
      t.mock.timers.tick(ms);
      await settled();
    },
  };
}

test('what failed goes out again, after longer and longer, without an end', async (t) => {
  const { wake, runs, pass } = waker(t, {});
  wake.soon();
  await pass(0);

  /** @type {number[]} */
  const pauses = [];
  for (let failures = 1; failures <= 40; failures++) {
    let ms = 0;
    while (runs() === failures) {
      await pass(500);
      ms += 500;
    }
    pauses.push(ms);
  }

  assert.deepEqual(pauses.slice(0, 4), [1000, 2000, 4000, 8000]);
  assert.equal(pauses.at(-1), 300_000);
});

test('once it went out nothing is left to do, and the pauses begin anew', async (t) => {
  const { wake, runs, pass } = waker(t, {}, {}, null, {}, null);
  wake.soon();
  await pass(0);
  await pass(1000);
  await pass(2000);
  assert.equal(runs(), 3);
  await pass(1_000_000);
  assert.equal(runs(), 3);

  wake.soon();
  await pass(0);
  await pass(1000);
  assert.equal(runs(), 5);
});

test('never before the server said', async (t) => {
  const { wake, runs, pass } = waker(t, { retryAfterMs: 60_000 }, null);
  wake.soon();
  await pass(0);
  await pass(60_000);
  assert.equal(runs(), 1);
  await pass(1000);
  assert.equal(runs(), 2);
});

test('what takes more than time is tried rarely, and still', async (t) => {
  const { wake, runs, pass } = waker(t, { retryable: false });
  wake.soon();
  await pass(0);
  await pass(299_000);
  assert.equal(runs(), 1);
  await pass(1000);
  assert.equal(runs(), 2);
});

test('a device that is online again, and somebody who looks, end a pause', async (t) => {
  const { wake, runs, wakes, pass, window, document } = waker(t, {});
  wake.soon();
  for (let run = 0; run < 8; run++) await pass(1000 * 2 ** run);
  const before = runs();

  window.dispatchEvent(new Event('online'));
  await pass(0);
  assert.equal(runs(), before + 1);
  document.visibilityState = 'hidden';
  document.dispatchEvent(new Event('visibilitychange'));
  await pass(0);
  assert.equal(runs(), before + 1);
  window.dispatchEvent(new Event('online')); // also where nobody looks
  await pass(0);
  assert.equal(runs(), before + 2);
  document.visibilityState = 'visible';
  document.dispatchEvent(new Event('visibilitychange'));
  await pass(0);
  assert.equal(runs(), before + 3);
  assert.equal(wakes(), 3);
});

test('nothing to send: nobody is woken for it', async (t) => {
  const { runs, pass, window } = waker(t, null);
  window.dispatchEvent(new Event('online'));
  await pass(1000);
  assert.equal(runs(), 0);
});

test('one run at a time; what comes meanwhile is the next', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let under = 0;
  let runs = 0;
  let end = () => {};
  const wake = createWake(async () => {
    runs++;
    assert.equal(++under, 1);
    await new Promise((resolve) => (end = () => resolve(undefined)));
    under--;
    return null;
  }, () => {});
  wake.soon();
  t.mock.timers.tick(0);
  wake.soon();
  t.mock.timers.tick(10_000);
  assert.equal(runs, 1);
  end();
  await settled();
  t.mock.timers.tick(1);
  assert.equal(runs, 2);
  wake.close();
});

test('a run that throws has failed', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  t.mock.method(Math, 'random', () => 1);
  let runs = 0;
  const wake = createWake(async () => {
    runs++;
    throw new Error('no');
  }, () => {});
  wake.soon();
  t.mock.timers.tick(0);
  await settled();
  t.mock.timers.tick(1000);
  assert.equal(runs, 2);
  wake.close();
});

test('after the end there is no run', async (t) => {
  const { wake, runs, pass, window } = waker(t, {});
  wake.soon();
  wake.close();
  wake.soon();
  window.dispatchEvent(new Event('online'));
  await pass(1_000_000);
  assert.equal(runs(), 0);
});
