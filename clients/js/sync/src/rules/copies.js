/**
 * What a device keeps of a dataset, and what may become of it.
 *
 * A port of `millpond/core/client_sync/copies.py`, whose theory of operation holds here; `tests/client_cases` is the
 * same as data, and run by both. Members have the names of the cases, so that a copy can be compared with one.
 *
 * Nothing here changes what it is given. A record object is replaced where it differs and stays the same object where
 * it does not, so that whoever stores a copy finds what is new by comparing references.
 */

/**
 * A record as the device has it; without a value it is removed.
 *
 * @typedef {object} LocalRecord
 * @property {string | null} value
 * @property {string | null} base the value that the server last told; null: it has none
 * @property {number} base_count the sync count of that; 0: the server never told of the key;
 *   `ELSEWHERE` until the next listing, which is whole
 * @property {boolean} dirty the app wrote since
 * @property {number} edit raised by each write, so that one made while a push is under way counts
 * @property {number} modified_ms when the app wrote it, by the clock of the device
 * @property {string | null} refused the code of the error for which it was set aside
 */

/**
 * A record as the server tells it; a tombstone has no value.
 *
 * @typedef {{key: string, value?: string | null, sync_count: number, modified_ms?: number}} RemoteRecord
 */

/**
 * What is asked for one record; `edit`, of the write that the patch brings, is not sent.
 *
 * @typedef {object} RecordPatch
 * @property {'replace' | 'remove'} op
 * @property {string} key
 * @property {number} sync_count
 * @property {string | null} value
 * @property {number} modified_ms
 * @property {number} edit
 */

/**
 * An update whose answer is not here yet. It is kept, and sent again as it is: the server then gives the answer that
 * it gave, and nobody takes an own write for another's.
 *
 * @typedef {{token: string, patches: readonly RecordPatch[]}} Sent
 */

/**
 * A dataset on a device.
 *
 * @typedef {object} Copy
 * @property {number} sync_count up to which everything was pulled
 * @property {ReadonlyMap<string, LocalRecord>} records
 * @property {Sent | null} sent
 * @property {boolean} deleting the app deleted the dataset, and the server does not know
 * @property {Readonly<Record<string, number>>} absorbed merged datasets whose records are in here, to be deleted
 *   there; up to which sync count
 * @property {string | null} token of a session that the answer to an update began, for the next one
 */

/**
 * Of a key, its base, mine and theirs: the value that both become. Pure.
 *
 * @typedef {(key: string, base: string | null, mine: LocalRecord, theirs: RemoteRecord) => string | null | typeof ASIDE} Merge
 */

/**
 * In place of a merged value: theirs cannot be read here, so mine may not replace it. It is set
 * aside, and waits.
 */
export const ASIDE = Symbol('aside');

/** The code of what waits like that. */
export const UNREADABLE = 'Unreadable';

/** As `base_count`: the base is one that the server told to another identity. */
export const ELSEWHERE = -1;

/** @type {LocalRecord} */
const NOTHING = Object.freeze({
  value: null,
  base: null,
  base_count: 0,
  dirty: false,
  edit: 0,
  modified_ms: 0,
  refused: null,
});

/** @type {Copy} */
export const EMPTY = Object.freeze({
  sync_count: 0,
  records: new Map(),
  sent: null,
  deleting: false,
  absorbed: {},
  token: null,
});

/**
 * Take what was written last; of one moment the greater value by code points, on all devices.
 *
 * @type {Merge}
 */
export function newest(key, base, mine, theirs) {
  const value = theirs.value ?? null;
  const order = mine.modified_ms - (theirs.modified_ms ?? 0) || compare(mine.value, value);
  return order > 0 ? mine.value : value;
}

/**
 * Keep what this device has.
 *
 * @type {Merge}
 */
export const mine = (key, base, mine) => mine.value;

/**
 * Take what the server has.
 *
 * @type {Merge}
 */
export const theirs = (key, base, mine, theirs) => theirs.value ?? null;

/**
 * Order by code points, nothing before everything. `<` orders by UTF-16 units, where U+1F600 comes before U+FF21.
 *
 * @param {string | null} one
 * @param {string | null} other
 */
function compare(one, other) {
  if (one === null || other === null) return Number(one !== null) - Number(other !== null);
  for (let at = 0; ; at++) {
    const left = one.codePointAt(at);
    const right = other.codePointAt(at);
    if (left === undefined || right === undefined) return one.length - other.length;
    if (left !== right) return left - right;
    if (left > 0xffff) at++;
  }
}

/**
 * A write of the app: a value, or null for a removal. What was set aside goes out again once it is written anew.
 *
 * @param {LocalRecord | undefined} before
 * @param {string | null} value
 * @param {number} now_ms
 * @returns {LocalRecord}
 */
export const written = (before = NOTHING, value, now_ms) => ({
  ...before,
  value,
  dirty: true,
  edit: before.edit + 1,
  modified_ms: now_ms,
  refused: null,
});

/**
 * Delete the dataset, here now and there with the next synchronization.
 *
 * @template {Copy} C
 * @param {C} copy
 * @returns {C}
 */
export const deleted = (copy) => ({
  ...copy,
  records: new Map(),
  sent: null,
  absorbed: {},
  deleting: true,
  token: null,
});

/**
 * The keys that the server does not have as they are here.
 *
 * @param {Copy} copy
 */
export const unsent = (copy) =>
  [...copy.records].filter(([, record]) => record.dirty && !isNothing(record)).map(([key]) => key);

/**
 * The codes of what was set aside, by key.
 *
 * @param {Copy} copy
 * @returns {Record<string, string>}
 */
export function aside(copy) {
  /** @type {[string, string][]} */
  const found = [];
  for (const [key, { refused }] of copy.records) if (refused !== null) found.push([key, refused]);
  return Object.fromEntries(found);
}

/**
 * Take in a listing, all pages of it; say what changed, and what was merged.
 *
 * @param {Copy} copy
 * @param {Iterable<RemoteRecord>} listed
 * @param {number} sync_count the dataset's, of the last page
 * @param {Merge} merge
 * @param {boolean} whole it has all that there is, so what it lacks is gone
 * @param {boolean} rewound the server lost what it had acknowledged; implies `whole`
 */
export function pull(copy, listed, sync_count, merge, whole, rewound) {
  const known = new Map();
  for (const each of listed) known.set(each.key, each);
  const records = new Map(copy.records);
  /** @type {string[]} */
  const changed = [];
  /** @type {string[]} */
  const merged = [];
  if (whole || rewound) {
    for (const [key, record] of copy.records) {
      if (known.has(key) && !rewound) continue;
      const kept = withoutBase(record, rewound);
      if (kept) {
        put(records, key, kept);
      } else {
        records.delete(key);
        if (record.value !== null) changed.push(key);
      }
    }
  }
  for (const [key, theirs] of known) {
    const mine = records.get(key);
    const [after, asked] = meet(key, mine, theirs, merge);
    if (asked) merged.push(key);
    if (after.value !== (mine ? mine.value : null)) changed.push(key);
    put(records, key, after);
  }
  for (const [key, record] of records) if (isNothing(record)) records.delete(key);
  const token = whole || rewound ? null : copy.token;
  return { copy: { ...copy, records, sync_count, token }, changed, merged };
}

/**
 * Say what is left of a record that the server knows nothing of.
 *
 * @param {LocalRecord} record
 * @param {boolean} rewound
 * @returns {LocalRecord | null}
 */
function withoutBase(record, rewound) {
  if (record.value === null || !(record.dirty || rewound)) return null;
  return { ...goingOn(record), base: null, base_count: 0, dirty: true };
}

/**
 * What could not be read is gone from the server.
 *
 * @param {LocalRecord} record
 */
const goingOn = (record) => (record.refused === UNREADABLE ? { ...record, refused: null } : record);

/**
 * A removal of what the server never had needs no push and no place.
 *
 * @param {LocalRecord} record
 */
const isNothing = (record) =>
  record.value === null && record.base === null && record.base_count === 0;

/**
 * A record as the server has it.
 *
 * @param {string | null} value
 * @param {number} base_count
 * @param {number} edit
 * @param {number} modified_ms
 * @returns {LocalRecord}
 */
const settled = (value, base_count, edit, modified_ms) => ({
  value,
  base: value,
  base_count,
  dirty: false,
  edit,
  modified_ms,
  refused: null,
});

/**
 * Bring a record together with what the server tells; and whether that was merged.
 *
 * @param {string} key
 * @param {LocalRecord | undefined} mine
 * @param {RemoteRecord} theirs
 * @param {Merge} merge
 * @returns {[LocalRecord, boolean]}
 */
function meet(key, mine, theirs, merge) {
  const base = theirs.value ?? null;
  const base_count = theirs.sync_count;
  /** @type {LocalRecord} */
  const clean = settled(base, base_count, mine?.edit ?? 0, theirs.modified_ms ?? 0);
  if (!mine || !mine.dirty || mine.value === base) return [clean, false];
  if (mine.base_count) {
    if (base_count === mine.base_count) return [mine, false]; // nothing new
    if (base === mine.base) return [{ ...goingOn(mine), base_count }, false];
    if (mine.value === mine.base) return [clean, false];
    // It removed another value, which this one never was.
    if (mine.value === null && mine.base_count === ELSEWHERE) return [clean, false];
  }
  const value = merge(key, mine.base, mine, theirs);
  // On its old base, so that they meet anew whenever theirs is listed.
  if (value === ASIDE) return [{ ...mine, refused: UNREADABLE }, false];
  if (value === base) return [clean, true];
  return [{ ...mine, value, base, base_count, edit: mine.edit + 1, refused: null }, true];
}

/**
 * Take the records of a dataset that came with a merged identity into this one.
 *
 * They count as written here; whoever wrote last wins unless the app merges. The merged dataset
 * is deleted only when this one is pushed, and not as long as something in it has no place here.
 *
 * @param {Copy} copy
 * @param {string} name
 * @param {Iterable<RemoteRecord>} listed
 * @param {number} sync_count
 * @param {Merge} merge
 * @returns {Copy}
 */
export function absorb(copy, name, listed, sync_count, merge) {
  const records = new Map(copy.records);
  const absorbed = { ...copy.absorbed, [name]: sync_count };
  for (const theirs of listed) {
    const after = joined(records.get(theirs.key), theirs, merge);
    if (after === ASIDE) delete absorbed[name];
    else if (after) records.set(theirs.key, after);
  }
  return { ...copy, records, absorbed };
}

/**
 * Take in a value of another identity, as written here; undefined: mine stays as it is.
 *
 * @param {LocalRecord | undefined} mine
 * @param {RemoteRecord} theirs
 * @param {Merge} merge
 */
export function joined(mine, theirs, merge) {
  /** @type {{value?: string | null | typeof ASIDE, modified_ms?: number}} */
  let { value = null, modified_ms = 0 } = theirs;
  if (mine && value !== null && value !== mine.value && (mine.value !== null || mine.base_count)) {
    value = merge(theirs.key, null, mine, theirs);
    modified_ms = Math.max(modified_ms, mine.modified_ms);
  }
  if (value === ASIDE) return ASIDE;
  if (value === null || value === mine?.value) return undefined;
  return written(mine, value, modified_ms);
}

/**
 * Say what is to be pushed next, at most so many; removals first, as they make room.
 *
 * What was set aside is left out until it is written anew.
 *
 * @param {Copy} copy
 * @param {number} most
 * @returns {RecordPatch[]}
 */
export function patches(copy, most) {
  /** @type {RecordPatch[]} */
  const found = [];
  for (const [key, record] of copy.records) {
    if (!record.dirty || record.refused !== null || isNothing(record)) continue;
    const { value, base_count: sync_count, modified_ms, edit } = record;
    found.push({
      op: value === null ? 'remove' : 'replace',
      key,
      sync_count,
      value,
      modified_ms,
      edit,
    });
  }
  return found
    .sort((one, other) => Number(one.op !== 'remove') - Number(other.op !== 'remove'))
    .slice(0, most);
}

/**
 * Take in the answer to what was sent.
 *
 * The answer counts, not what was asked: a sync trigger may have changed a value, have added a record, or have left
 * one out, which is then set aside.
 *
 * @param {Copy} copy
 * @param {readonly RecordPatch[]} sent
 * @param {readonly RemoteRecord[]} answered
 * @param {string | null} [session] the next one, which the answer began
 * @returns {Copy}
 */
export function acknowledge(copy, sent, answered, session = null) {
  const records = new Map(copy.records);
  const told = new Set(answered.map((each) => each.key));
  const edits = new Map();
  for (const { key, op, edit } of sent) {
    edits.set(key, edit);
    const record = records.get(key);
    if (told.has(key) || !record || record.edit !== edit) continue;
    if (op === 'remove')
      records.delete(key); // there was nothing to remove
    else records.set(key, { ...record, refused: 'LeftOut' });
  }
  let count = 0;
  for (const { key, value: base = null, sync_count: base_count, modified_ms } of answered) {
    const record = records.get(key) ?? NOTHING;
    const { edit } = record;
    const asked = edits.has(key);
    count = Math.max(count, base_count);
    if (asked ? edit === edits.get(key) : !record.dirty) {
      records.set(key, settled(base, base_count, edit, modified_ms || record.modified_ms));
    } else if (asked) {
      records.set(key, { ...record, base, base_count }); // written since
    }
  }
  // Somebody else wrote in between unless it is the next one; a listing then shows.
  const follows = count === copy.sync_count + 1;
  const sync_count = follows ? count : copy.sync_count;
  return { ...copy, records, sent: null, sync_count, token: follows ? session : null };
}

/**
 * Keep records here that the server refuses, so that the others go on.
 *
 * @param {Copy} copy
 * @param {readonly RecordPatch[]} sent
 * @param {string} code
 * @returns {Copy}
 */
export function setAside(copy, sent, code) {
  const records = new Map(copy.records);
  for (const { key, edit } of sent) {
    const record = records.get(key);
    if (record && record.edit === edit) records.set(key, { ...record, refused: code });
  }
  return { ...copy, records };
}

/**
 * Set a record, unless it is there as it is.
 *
 * @param {Map<string, LocalRecord>} records
 * @param {string} key
 * @param {LocalRecord} after
 */
function put(records, key, after) {
  const before = records.get(key);
  if (
    !before ||
    /** @type {(keyof LocalRecord)[]} */ (Object.keys(after)).some(
      (each) => before[each] !== after[each],
    )
  ) {
    records.set(key, after);
  }
}
