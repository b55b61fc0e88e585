/**
 * What a guest wrote follows into the account, when the identities become one.
 *
 * A port of `millpond/core/client_sync/following.py`, which says why. The guest's copy is to be
 * dropped in the same step.
 */

import { ASIDE, ELSEWHERE, UNREADABLE, joined, written } from './copies.js';

/** @typedef {import('./copies.js').Copy} Copy */
/** @typedef {import('./copies.js').LocalRecord} LocalRecord */

/**
 * Take a guest's copy of a dataset into the account's.
 *
 * @param {Copy} account
 * @param {Copy} guest
 * @param {string} merged_name what the guest's dataset is called beside one of the account's
 * @param {import('./copies.js').Merge} merge
 * @returns {Copy}
 */
export function follow(account, guest, merged_name, merge) {
  const records = new Map(account.records);
  for (const [key, theirs] of guest.records) {
    const after = join(key, records.get(key), theirs, merge);
    if (after) records.set(key, after);
  }
  const { sync_count } = guest;
  const absorbed = sync_count
    ? { ...account.absorbed, [merged_name]: sync_count }
    : account.absorbed;
  return { ...account, records, sync_count: 0, sent: null, absorbed, token: null };
}

/**
 * Bring a guest's record together with the account's; undefined: that one stays.
 *
 * @param {string} key
 * @param {LocalRecord | undefined} mine
 * @param {LocalRecord} theirs
 * @param {import('./copies.js').Merge} merge
 * @returns {LocalRecord | undefined}
 */
function join(key, mine, theirs, merge) {
  const { value, base, dirty, edit, modified_ms } = theirs;
  const elsewhere = { ...theirs, base_count: ELSEWHERE, refused: null };
  const unsent = dirty && base !== null;
  if (value === null) {
    if (!unsent) return undefined;
    if (!mine) return elsewhere;
    return mine.dirty || mine.value !== base ? undefined : written(mine, null, modified_ms);
  }
  if (!mine || (mine.value === null && !mine.dirty)) {
    return unsent ? elsewhere : { ...written(undefined, value, modified_ms), edit: edit + 1 };
  }
  const after = joined(mine, { key, value, sync_count: 0, modified_ms }, merge);
  if (after !== ASIDE) return after;
  // The account's is at the server; what the guest wrote is nowhere else.
  const anew = { ...written(undefined, value, modified_ms), edit: edit + 1 };
  return mine.dirty ? undefined : { ...anew, refused: UNREADABLE };
}
