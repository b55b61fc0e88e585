/** A storage in the browser's IndexedDB: what apps should take. */

import { asStorageError } from '../errors.js';
import { newVersion, pack, unpack } from './port.js';

const SCHEMA = 1;
const TABLES = /** @type {const} */ (['versions', 'heads', 'records', 'texts']);

/** @typedef {Record<typeof TABLES[number], IDBObjectStore>} Tables */

/**
 * Keep everything in a database of IndexedDB.
 *
 * @param {{name?: string, factory?: IDBFactory}} [options] `name`: of the database
 * @returns {import('./port.js').Storage}
 */
export function indexedDB({ name = 'millpond', factory } = {}) {
  return {
    async open(namespace) {
      const store = new IndexedDBStore(factory ?? globalThis.indexedDB, name, namespace);
      await store.get(''); // a database that does not open is told at once
      return store;
    },
  };
}

/** All keys that begin so; a list sorts behind all texts. @param {string[]} names */
const under = (...names) => IDBKeyRange.bound(names, [...names, []]);

class IndexedDBStore {
  /** @type {Promise<IDBDatabase> | null} */
  #opened = null;

  /**
   * @param {IDBFactory} factory
   * @param {string} file
   * @param {string} namespace
   */
  constructor(factory, file, namespace) {
    if (!factory) throw new TypeError('There is no IndexedDB here: use another storage.');
    this.factory = factory;
    this.file = file;
    this.namespace = namespace;
  }

  /**
   * @param {string} identity
   * @param {string} name
   * @returns {Promise<import('./port.js').Stored>}
   */
  load(identity, name) {
    const dataset = [this.namespace, identity, name];
    return this.#run('readonly', async ({ versions, heads, records }) => {
      const [version = 0, head = null, packed] = await Promise.all([
        result(versions.get(dataset)),
        result(heads.get(dataset)),
        result(records.getAll(under(...dataset))),
      ]);
      return {
        version,
        head,
        records: new Map(packed.map(([key, ...rest]) => [key, unpack(rest)])),
      };
    });
  }

  /**
   * @param {readonly import('./port.js').Change[]} changes
   * @returns {Promise<number>}
   */
  commit(changes) {
    const ids = changes.map(({ identity, name }) => [this.namespace, identity, name]);
    return this.#run('readwrite', async ({ versions, heads, records }) => {
      const found = await Promise.all(ids.map((each) => result(versions.get(each))));
      if (changes.some(({ version }, at) => (found[at] ?? 0) !== version)) return 0;
      const next = newVersion();
      changes.forEach(({ drop, head, records: changed = [] }, at) => {
        const dataset = ids[at];
        if (drop) {
          versions.delete(dataset);
          heads.delete(dataset);
          records.delete(under(...dataset));
          return;
        }
        versions.put(next, dataset);
        if (head) heads.put(head, dataset);
        for (const [key, record] of changed) {
          if (record) records.put([key, ...pack(record)], [...dataset, key]);
          else records.delete([...dataset, key]);
        }
      });
      return next;
    });
  }

  /** @returns {Promise<[string, string][]>} */
  list() {
    return this.#run('readonly', async ({ versions }) => {
      const found = /** @type {string[][]} */ (
        await result(versions.getAllKeys(under(this.namespace)))
      );
      return found.map(([, identity, name]) => [identity, name]);
    });
  }

  /**
   * @param {string} name
   * @returns {Promise<string | null>}
   */
  get(name) {
    return this.#run(
      'readonly',
      async ({ texts }) => (await result(texts.get([this.namespace, name]))) ?? null,
    );
  }

  /**
   * @param {Record<string, string | null>} changes
   * @returns {Promise<void>}
   */
  put(changes) {
    return this.#run('readwrite', async ({ texts }) => {
      for (const [name, text] of Object.entries(changes)) {
        if (text === null) texts.delete([this.namespace, name]);
        else texts.put(text, [this.namespace, name]);
      }
    });
  }

  async close() {
    const opened = this.#opened;
    this.#opened = null;
    (await opened?.catch(() => null))?.close();
  }

  /**
   * Do something in a transaction, and answer when it is on the disk.
   *
   * @template T
   * @param {IDBTransactionMode} mode
   * @param {(tables: Tables) => Promise<T>} work waits for its requests alone
   * @returns {Promise<T>}
   */
  async #run(mode, work) {
    try {
      const transaction = await this.#begin(mode);
      const done = new Promise((resolve, reject) => {
        transaction.oncomplete = resolve;
        transaction.onabort = () => reject(transaction.error);
      });
      const tables = TABLES.map((each) => [each, transaction.objectStore(each)]);
      const failed = (/** @type {unknown} */ error) => {
        try {
          transaction.abort();
        } catch {
          // It has ended already.
        }
        throw error;
      };
      const working = work(Object.fromEntries(tables)).catch(failed);
      // Why it was aborted says more than that a request was.
      const [ended, answer] = await Promise.allSettled([done, working]);
      if (ended.status === 'rejected' && ended.reason) throw ended.reason;
      if (answer.status === 'rejected') throw answer.reason;
      if (ended.status === 'rejected') throw new DOMException('', 'AbortError');
      return answer.value;
    } catch (error) {
      throw asStorageError(error);
    }
  }

  /**
   * @param {IDBTransactionMode} mode
   * @returns {Promise<IDBTransaction>}
   */
  async #begin(mode) {
    for (let again = false; ; again = true) {
      this.#opened ??= this.#open();
      try {
        return (await this.#opened).transaction(TABLES, mode, { durability: 'strict' });
      } catch (error) {
        // The browser closed it, or another page wants to change or to delete it.
        this.#opened = null;
        if (again || /** @type {Error} */ (error).name !== 'InvalidStateError') throw error;
      }
    }
  }

  /** @returns {Promise<IDBDatabase>} */
  async #open() {
    const request = this.factory.open(this.file, SCHEMA);
    request.onupgradeneeded = () => {
      for (const each of TABLES) request.result.createObjectStore(each);
    };
    const database = await result(request);
    const forget = () => {
      database.close();
      this.#opened = null;
    };
    database.onversionchange = forget;
    database.onclose = forget;
    return database;
  }
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
