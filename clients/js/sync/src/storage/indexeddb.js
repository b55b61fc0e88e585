/** A storage in the browser's IndexedDB: what apps should take. */

import { asStorageError } from '../errors.js';

const TABLE = 'entries';

/**
 * Keep everything in a database of IndexedDB.
 *
 * @param {{name?: string, factory?: IDBFactory}} [options] `name`: of the database
 * @returns {import('./store.js').Storage}
 */
export function indexedDB({ name = 'millpond', factory = globalThis.indexedDB } = {}) {
  return {
    async open(namespace) {
      if (!factory) throw new TypeError('There is no IndexedDB here: take another storage.');
      const table = openTable(factory, name, namespace);
      await table.read([]); // a database that does not open is told of at once
      return table;
    },
  };
}

/**
 * @param {IDBFactory} factory
 * @param {string} name
 * @param {string} namespace
 * @returns {import('./store.js').Table}
 */
function openTable(factory, name, namespace) {
  /** @type {Promise<IDBDatabase> | null} */
  let opened = null;
  const id = (/** @type {import('./store.js').Key} */ key) => [namespace, ...key];

  async function open() {
    const request = factory.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(TABLE);
    const database = await result(request);
    // The browser closes it, or another page wants to delete it.
    database.onclose = () => (opened = null);
    database.onversionchange = close;
    return database;
  }

  async function close() {
    const closed = opened;
    opened = null;
    (await closed?.catch(() => null))?.close();
  }

  /** @param {IDBTransactionMode} mode */
  async function begin(mode) {
    for (let again = false; ; again = true) {
      try {
        return (await (opened ??= open())).transaction(TABLE, mode, { durability: 'strict' });
      } catch (error) {
        opened = null;
        if (again || /** @type {Error} */ (error).name !== 'InvalidStateError') throw error;
      }
    }
  }

  /**
   * Do something in a transaction, and answer when it is on the disk.
   *
   * @template T
   * @param {IDBTransactionMode} mode
   * @param {(entries: IDBObjectStore) => Promise<T>} work waits for its requests alone
   * @returns {Promise<T>}
   */
  async function run(mode, work) {
    try {
      const transaction = await begin(mode);
      const ended = new Promise((resolve, reject) => {
        transaction.oncomplete = resolve;
        transaction.onabort = () => reject(transaction.error ?? new DOMException('', 'AbortError'));
      });
      const working = work(transaction.objectStore(TABLE)).catch((error) => {
        transaction.abort(); // fails where it has ended, and then says less than `ended`
        throw error;
      });
      return (await Promise.all([working, ended]))[0];
    } catch (error) {
      throw asStorageError(error);
    }
  }

  return {
    read: (keys, under) =>
      run('readonly', async (entries) => {
        // A list sorts behind all texts.
        const range = under && IDBKeyRange.bound(id(under), [...id(under), []]);
        const [values, found, texts] = await Promise.all([
          Promise.all(keys.map((key) => result(entries.get(id(key))))),
          range ? result(entries.getAllKeys(range)) : [],
          range ? result(entries.getAll(range)) : [],
        ]);
        const under_ = /** @type {string[][]} */ (found);
        return { values, found: under_.map(([, ...key], at) => [key, texts[at]]) };
      }),

    swap: (expected, writes) =>
      run('readwrite', async (entries) => {
        const found = await Promise.all(expected.map(([key]) => result(entries.get(id(key)))));
        if (expected.some(([, value], at) => (found[at] ?? 0) !== value)) return false;
        for (const [key, value] of writes) {
          if (value === null) entries.delete(id(key));
          else entries.put(value, id(key));
        }
        return true;
      }),

    close,
  };
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
const result = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
