/** The tests of the app, with a server that is there for them alone. */

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';

import { developerToken, memory } from '@millpond/sync';
import { useMillpond } from '@millpond/testing';

import { openPreferences } from './preferences.js';

const command = process.env.MILLPOND?.split(' ') ?? ['millpond'];
const millpond = useMillpond({ command, settings: { region: 'eu-west-1' } });
const opened = [];
// What is left open would call on in the next test.
afterEach(() => Promise.all(opened.splice(0).map((app) => app.close())));

/** The app on a new device, where a user has signed in by the app's backend. */
async function onDevice(pool, user) {
  const app = await openPreferences({
    endpoint: millpond.endpoint,
    region: millpond.region,
    pool: pool.id,
    storage: memory(),
    credentials: developerToken(() => pool.vouch(user)),
  });
  opened.push(app);
  return app;
}

test('a preference comes to the other device', async () => {
  const pool = await millpond.createPool();
  const [phone, laptop] = [await onDevice(pool, 'alice'), await onDevice(pool, 'alice')];
  await phone.set('theme', 'dark');
  await phone.sync();
  await laptop.sync();

  assert.equal(await laptop.get('theme'), 'dark');
  const [update] = await millpond.calls.all('UpdateRecords');
  assert.equal(update.parameters.RecordPatches[0].Key, 'theme');
  assert.equal(update.identityId, (await pool.user('alice')).identityId);
});

test('a user who was away for hours goes on', async () => {
  const pool = await millpond.createPool();
  const phone = await onDevice(pool, 'alice');
  await phone.set('theme', 'dark');
  await phone.sync();
  await millpond.calls.clear();
  const before = await millpond.clock.now();
  await millpond.clock.advance({ hours: 2 });
  assert.ok(await millpond.clock.now() - before >= 7_200_000);
  await phone.set('theme', 'light');
  await phone.sync();

  // Credentials are good for an hour; the app got others by itself.
  assert.ok((await millpond.calls.names()).includes('GetCredentialsForIdentity'));
  const laptop = await onDevice(pool, 'alice');
  await laptop.sync();
  assert.equal(await laptop.get('theme'), 'light');
});

test('nobody sees the preferences of another', async () => {
  const pool = await millpond.createPool();
  const alice = await onDevice(pool, 'alice');
  const bob = await onDevice(pool, 'bob');
  await alice.set('theme', 'dark');
  await alice.sync();
  await bob.sync();

  assert.equal(await bob.get('theme'), undefined);
});

test('each test begins with nothing', async () => {
  assert.deepEqual(await millpond.calls.names(), []);
  assert.ok(await millpond.clock.now() - Date.now() < 60_000, 'the clock is right again');
  await assert.rejects(millpond.clock.advance({ weeks: 1 }), /no length 'weeks'/);
  await assert.rejects(millpond.clock.advance({ hours: -1 }), /not go back/);
});
