/** A part of an app: the preferences of a user, kept in step by @millpond/sync. */

import { newest, openSync } from '@millpond/sync';

/** @param {Parameters<typeof openSync>[0]} options where the data is, and whose */
export async function openPreferences(options) {
  const sync = await openSync(options);
  const dataset = sync.dataset('preferences', { merge: newest });
  return {
    get: (name) => dataset.get(name),
    set: (name, value) => dataset.set(name, value),
    sync: () => dataset.sync(),
    close: () => sync.close(),
  };
}
