/**
 * The copies of datasets by identity, record by record, and a few texts: in any table of keys.
 *
 * Each dataset has a version, which a change names and which becomes another one by it. Of two
 * tabs that change what both have read, the second one is told so, reads again and decides
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
 * @typedef {readonly string[]} Key
 * @typedef {[key: Key, value: any]} Entry
 *
 * @typedef {object} Table what a storage has to do. Values are what JSON can have
 * @property {(keys: readonly Key[], under?: Key) => Promise<{values: any[], found: Entry[]}>} read
 *   what some keys have (null or undefined: nothing), and all entries whose key begins so, of
 *   one moment
 * @property {(expected: readonly Entry[], writes: readonly Entry[]) => Promise<boolean>} swap
 *   write all of it (null: take it away) or nothing; false where a key has not the number that
 *   is expected (0: nothing)
 * @property {boolean} [asIs] values are kept as the objects that they are, which nobody changes
 * @property {() => void} [close]
 *
 * @typedef {{open: (namespace: string) => Promise<Table>}} Storage where data is kept: `indexedDB()`,
 *   `localStorage()` and `memory()` give one
 *
 * @typedef {ReturnType<typeof openStore>} Store of one pool at one server
 */

/** @param {Table} table */
export const openStore = (table) => ({
  /**
   * @param {string} identity
   * @param {string} name
   * @returns {Promise<Stored>}
   */
  async load(identity, name) {
    const id = [identity, name];
    const { values, found } = await table.read(
      [
        ['version', ...id],
        ['head', ...id],
      ],
      ['record', ...id],
    );
    const records = new Map(
      found.map(([key, stored]) => [key[3], table.asIs ? stored : unpack(stored)]),
    );
    return { version: values[0] ?? 0, head: values[1] ?? null, records };
  },

  /**
   * Make all changes, or none.
   *
   * @param {readonly Change[]} changes
   * @returns {Promise<number>} the version that they have now; 0: another tab was faster
   */
  async commit(changes) {
    // One that was never there before, also not of a dataset that went and came back.
    const next = 1 + Math.random();
    /** @type {Entry[]} */
    const expected = [];
    /** @type {Entry[]} */
    const writes = [];
    for (const { identity, name, version, drop, head, records = [] } of changes) {
      const id = [identity, name];
      expected.push([['version', ...id], version]);
      writes.push([['version', ...id], drop ? null : next]);
      if (drop || head) writes.push([['head', ...id], drop ? null : head]);
      for (const [key, record] of records)
        writes.push([['record', ...id, key], record && !table.asIs ? pack(record) : record]);
      if (!drop) continue;
      // Should there be others by then, its version is another one.
      for (const key of (await this.load(identity, name)).records.keys()) {
        writes.push([['record', ...id, key], null]);
      }
    }
    return (await table.swap(expected, writes)) ? next : 0;
  },

  /** @returns {Promise<[identity: string, name: string][]>} */
  async list() {
    const { found } = await table.read([], ['version']);
    return found.map(([[, identity, name]]) => [identity, name]);
  },

  /**
   * @param {string} name
   * @returns {Promise<string | null>} one of the texts
   */
  async get(name) {
    return (await table.read([['text', name]])).values[0] ?? null;
  },

  /** @param {Record<string, string | null>} texts all of them are put, or none; null: away */
  async put(texts) {
    await table.swap(
      [],
      Object.entries(texts).map(([name, text]) => [['text', name], text]),
    );
  },

  close: () => table.close?.(),
});

/**
 * The version of a dataset, to see whether what was loaded is what there is. 0: there is none.
 *
 * @param {Table} table
 * @param {string} identity
 * @param {string} name
 * @returns {Promise<number>}
 */
export const versionOf = async (table, identity, name) =>
  (await table.read([['version', identity, name]])).values[0] ?? 0;

/**
 * A record as it is stored. Most are clean, and have one value instead of the same one twice.
 *
 * @param {LocalRecord} record
 */
const pack = ({ value, base, base_count, dirty, edit, modified_ms, refused }) =>
  // prettier-ignore
  [value, base === value ? 0 : base, base_count, dirty, edit, modified_ms, refused];

/**
 * @param {any} packed
 * @returns {LocalRecord}
 */
const unpack = ([value, base, base_count, dirty, edit, modified_ms, refused]) => ({
  value,
  base: base === 0 ? value : base,
  base_count,
  dirty,
  edit,
  modified_ms,
  refused,
});
