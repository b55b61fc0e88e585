/**
 * What a storage is: the copies of datasets by identity, record by record, and a few texts.
 *
 * Each dataset has a version, which a change names and which becomes another one by it. Of two
 * tabs that change what both have read the second one is told so, reads again and decides
 * anew. A change is there as a whole or not at all, also after a crash, and when the storage
 * is full; when `commit` is answered it is there.
 *
 * `test/storage-contract.js` is the same as tests.
 *
 * @typedef {import('../rules/copies.js').Copy} Copy
 * @typedef {import('../rules/copies.js').LocalRecord} LocalRecord
 *
 * @typedef {Omit<Copy, 'records'> & {synced_ms?: number}} Head what a copy has beside records
 *
 * @typedef {object} Stored
 * @property {number} version
 * @property {Head | null} head
 * @property {Map<string, LocalRecord>} records
 *
 * @typedef {object} Change of one dataset
 * @property {string} identity
 * @property {string} name
 * @property {number} version at which it was read; 0: there was nothing
 * @property {Head} [head] where it is another one
 * @property {Iterable<readonly [string, LocalRecord | null]>} [records] those that are new or
 *   other ones; null: gone
 * @property {boolean} [drop] everything of the dataset goes
 *
 * @typedef {object} Store of one pool at one server
 * @property {(identity: string, name: string) => Promise<Stored>} load
 * @property {(changes: readonly Change[]) => Promise<number>} commit all of them or nothing; the
 *   version that they have now, or 0: somebody else changed one of them
 * @property {() => Promise<[identity: string, name: string][]>} list what there is
 * @property {(name: string) => Promise<string | null>} get one of the texts
 * @property {(changes: Record<string, string | null>) => Promise<void>} put texts, all or none
 * @property {() => void} close
 *
 * @typedef {{open: (namespace: string) => Promise<Store>}} Storage
 *
 * @typedef {[string | null, string | null | 0, number, boolean, number, number, string | null]} Packed
 */

/** A version that was never there before, also not of a dataset that went and came back. */
export const newVersion = () => 1 + Math.random();

/**
 * A record as it is stored. Most are clean, and have one value instead of the same one twice.
 *
 * @param {LocalRecord} record
 * @returns {Packed}
 */
export const pack = ({ value, base, base_count, dirty, edit, modified_ms, refused }) => [
  value,
  base === value ? 0 : base,
  base_count,
  dirty,
  edit,
  modified_ms,
  refused,
];

/**
 * @param {Packed} packed
 * @returns {LocalRecord}
 */
export const unpack = ([value, base, base_count, dirty, edit, modified_ms, refused]) => ({
  value,
  base: base === 0 ? value : base,
  base_count,
  dirty,
  edit,
  modified_ms,
  refused,
});
