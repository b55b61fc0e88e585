/**
 * A dataset, as an app has it: what is written is on the disk before the app goes on, and what
 * happens at the server comes with `sync`.
 */

import { CodecError, text } from './codec.js';
import { LocalCopy } from './local-copy.js';
import { asking } from './merging.js';
import { aside, deleted, newest, unsent } from './rules/copies.js';
import { synchronize } from './synchronizing.js';

/** @typedef {import('./codec.js').Codec} Codec */
/** @typedef {import('./merging.js').Merge} Merge */
/** @typedef {import('./synchronizing.js').Report} Report */

/**
 * @typedef {object} Status how a dataset stands
 * @property {string[]} unsent the keys that the server does not have as they are here
 * @property {Record<string, string>} setAside the error code by key, of what the server refuses
 * @property {number | null} lastSync epoch milliseconds, of the last one that came to its end
 * @property {unknown} lastError of the last one, if it failed
 */

/** @typedef {(changes: Record<string, any>) => void} Listener
 *   is given the new values by key; `undefined`: it was removed */

/** One dataset of whoever is signed in. */
export class Dataset {
  #host;
  #merge;
  #codec;
  #local;
  /** @type {Set<{keys: Set<string> | null, tell: Listener}>} */
  #listeners = new Set();
  #telling = Promise.resolve();
  /** @type {Promise<Report> | null} */
  #running = null;
  /** @type {Promise<Report> | null} */
  #next = null;
  /** @type {Promise<void> | null} */
  #refreshing = null;
  /** @type {unknown} */
  #lastError = null;

  /**
   * @param {import('./sync.js').Host} host
   * @param {string} name
   * @param {{merge?: Merge, codec?: Codec}} options
   */
  constructor(host, name, { merge = newest, codec = text }) {
    this.#host = host;
    this.name = name;
    this.#merge = merge;
    this.#codec = codec;
    this.#local = new LocalCopy(host, name, (find) => this.#tell(find));
  }

  /**
   * The value of a key; `undefined`: it has none.
   *
   * @param {string} key
   * @returns {Promise<any>}
   */
  async get(key) {
    const { records } = await this.#local.read();
    return this.#decode(key, records.get(key)?.value);
  }

  /**
   * Everything that there is, as a `Map` from keys to values.
   *
   * @returns {Promise<Map<string, any>>}
   */
  async items() {
    const { records } = await this.#local.read();
    const found = [...records].filter(([, { value }]) => value !== null);
    const values = await Promise.all(found.map(([key, { value }]) => this.#decode(key, value)));
    return new Map(found.map(([key], at) => [key, values[at]]));
  }

  /**
   * Give a key a value. It is stored when this is answered, and sent with the next `sync`.
   *
   * @param {string} key
   * @param {any} value
   * @param {{overwrite?: boolean}} [options] `overwrite`: also where the value that is there
   *   cannot be read
   * @returns {Promise<void>}
   * @throws {import('./codec.js').CodecError} it cannot, or the new one cannot be written
   * @throws {import('./errors.js').QuotaError} the server could not take it
   */
  async set(key, value, options) {
    const place = this.#place(key);
    const { encode, encodeLike, decode } = this.#codec;
    const encoded = Promise.resolve(encode(value, place)); // as it is now
    encoded.catch(() => {}); // whoever stores it is told
    return this.#write(key, options, async (before) => {
      const found = await encoded;
      if (!encodeLike || before === null) return found;
      return encodeLike(await decode(found, place), place, [before, found]);
    });
  }

  /**
   * Take a key away, here at once and elsewhere with the next `sync`.
   *
   * @param {string} key
   * @param {{overwrite?: boolean}} [options] as of `set`
   * @returns {Promise<void>}
   */
  async remove(key, options) {
    return this.#write(key, options, () => null);
  }

  /**
   * @param {string} key
   * @param {{overwrite?: boolean} | undefined} options
   * @param {(before: string | null) => string | null | Promise<string | null>} make
   */
  async #write(key, options, make) {
    if (typeof key !== 'string') throw new TypeError('A key is a text.');
    await this.#local.write({
      key,
      now_ms: this.#host.now(),
      make: async (before) => {
        // What this app cannot read it does not write over.
        if (!options?.overwrite) await this.#checkSeen(key, before);
        return make(before);
      },
    });
    this.#host.wrote(this.name);
  }

  /**
   * @param {string} key
   * @param {string | null} before
   */
  async #checkSeen(key, before) {
    try {
      await this.#decode(key, before);
    } catch (error) {
      if (error instanceof CodecError) throw error; // others are the app's, which has seen it
    }
  }

  /** Delete all of it, here at once and elsewhere with the next `sync`. */
  async delete() {
    await this.#host.alone(() => this.#local.apply((copy) => ({ copy: deleted(copy) })));
    this.#host.wrote(this.name);
  }

  /**
   * Be told of changes, the app's own and others': once for each time that something is stored.
   *
   * @param {readonly string[] | Listener} keys left out: all
   * @param {Listener} [tell]
   * @returns {() => void} ends it
   */
  subscribe(keys, tell) {
    const listener =
      typeof keys === 'function'
        ? { keys: null, tell: keys }
        : { keys: new Set(keys), tell: /** @type {Listener} */ (tell) };
    this.#listeners.add(listener);
    this.#local.read().catch(() => {}); // so that changes of other tabs are seen as such
    return () => void this.#listeners.delete(listener);
  }

  /** @returns {Promise<Status>} */
  async status() {
    const copy = await this.#local.read();
    return {
      unsent: unsent(copy),
      setAside: aside(copy),
      lastSync: copy.synced_ms ?? null,
      lastError: this.#lastError,
    };
  }

  /**
   * Bring this device and the server together.
   *
   * One at a time: who asks while one is under way gets the next one, which has all that was
   * written before it was asked for.
   *
   * @returns {Promise<Report>}
   * @throws {import('./errors.js').SyncError} what kept it from coming to its end; its `report`
   *   has what was done
   */
  sync() {
    this.#next ??= (this.#running ?? Promise.resolve())
      .catch(() => {})
      .then(() => {
        this.#running = this.#next;
        this.#next = null;
        return this.#host.exclusive(this.name, () => this.#synchronize());
      });
    return this.#next;
  }

  /**
   * Keep it in step by itself: what is written here goes out, and what others write comes in as
   * the server tells of it. Where no server does, it is asked from time to time.
   *
   * @returns {() => void} ends it
   */
  watch() {
    this.#host.check();
    return this.#host.watch(this.name);
  }

  async #synchronize() {
    const beganMs = performance.now();
    try {
      const report = await synchronize({
        name: this.name,
        host: this.#host,
        local: this.#local,
        asking: (work) => this.asking(work),
      });
      this.#lastError = null;
      this.#host.ended(this.name, beganMs);
      return report;
    } catch (error) {
      this.#lastError = error;
      this.#host.ended(this.name, beganMs, error);
      throw error;
    }
  }

  /** What this device has of it. @internal */
  copy() {
    return this.#local.read();
  }

  /** Read again what another tab has changed. @internal */
  refresh() {
    return (this.#refreshing ??= this.#host.alone(() => {
      this.#refreshing = null;
      return this.reload();
    }));
  }

  /** As `refresh`, for who is alone already. @internal */
  reload() {
    return this.#local.reload();
  }

  /**
   * Do something with the merge of this dataset.
   *
   * @internal
   * @template T
   * @param {(merge: import('./merging.js').RuleMerge, asked: readonly unknown[]) =>
   *   T | Promise<T>} work as `asking` of `merging.js` has it
   */
  asking(work) {
    /** @type {import('./merging.js').Values['encode']} */
    const encode = (key, value, texts) =>
      (this.#codec.encodeLike ?? this.#codec.encode)(value, this.#place(key), texts);
    const decode = (/** @type {string} */ key, /** @type {string | null | undefined} */ stored) =>
      this.#decode(key, stored);
    return asking(this.#merge, { isText: this.#codec === text, encode, decode }, work);
  }

  /**
   * @param {string} key
   * @param {string | null | undefined} stored
   */
  #decode(key, stored) {
    return typeof stored === 'string' ? this.#codec.decode(stored, this.#place(key)) : undefined;
  }

  /** @param {string} key */
  #place(key) {
    return { pool: this.#host.pool, dataset: this.name, key };
  }

  /** @param {() => import('./local-copy.js').Texts} find */
  #tell(find) {
    if (!this.#listeners.size) return;
    const changes = find();
    this.#telling = this.#telling.then(() => this.#notify(changes));
  }

  /** @param {import('./local-copy.js').Texts} changes */
  async #notify(changes) {
    for (const { keys, tell } of [...this.#listeners]) {
      try {
        const values = [];
        for (const [key, stored] of changes) {
          if (keys && !keys.has(key)) continue;
          try {
            values.push([key, await this.#decode(key, stored)]);
          } catch (error) {
            if (!(error instanceof CodecError)) throw error; // who reads it is told
          }
        }
        if (values.length) tell(Object.fromEntries(values));
      } catch (error) {
        // It is the app's, and nothing here may end by it.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
