/**
 * The copy of a dataset that this device has: in memory what the storage has, and no more.
 *
 * Every change, the app's and a synchronization's, is one commit that is decided on what was
 * read. Where another tab was faster, it is read again and decided anew; so nothing is written
 * over unseen, and each commit is a possible end, of the page or of the machine.
 */

import { QuotaError, StorageError } from './errors.js';
import { EMPTY, written } from './rules/copies.js';
import { datasetExcess, excess, usage, written as after } from './rules/quota.js';

/** @typedef {import('./rules/copies.js').LocalRecord} LocalRecord */
/** @typedef {import('./storage/store.js').Head} Head */
/** @typedef {Head & {records: Map<string, LocalRecord>}} Copy */
/** @typedef {Pick<import('./sync.js').Host, 'store' | 'identity' | 'check' | 'alone' | 'told' | 'limits'> & Partial<Pick<import('./sync.js').Host, 'gather'>>} Host */
/** @typedef {Map<string, string | null>} Texts values as they are stored, by key */

/**
 * @typedef {object} Write
 * @property {string} key
 * @property {number} now_ms
 * @property {(before: string | null) => Promise<string | null>} make of the text that is there
 *   the new one; null: none
 */

/** @typedef {Write & {resolve: () => void, reject: (error: unknown) => void}} Waiting */

export class LocalCopy {
  #host;
  #name;
  #changed;
  /** @type {Copy} */
  #copy = { ...EMPTY, records: new Map() };
  /** @type {import('./rules/quota.js').Usage | null} */
  #held = null; // what it holds; null: not counted yet
  #version = 0;
  /** @type {Promise<void> | null} */
  #loaded = null;
  /** @type {Waiting[]} */
  #waiting = [];

  /**
   * @param {Host} host
   * @param {string} name
   * @param {(values: () => Texts) => void} changed is told that values may be other ones, before
   *   they are, and may find out at once which
   */
  constructor(host, name, changed) {
    this.#host = host;
    this.#name = name;
    this.#changed = changed;
  }

  /** @returns {Promise<Copy>} as it is now; it changes */
  async read() {
    this.#host.check();
    this.#loaded ??= this.#load().catch((error) => {
      this.#loaded = null;
      throw error;
    });
    await this.#loaded;
    return this.#copy;
  }

  /** Read again, if it was read: another tab changed it, or it is somebody else's now. */
  async reload() {
    if (!this.#loaded) return;
    const before = this.#copy.records;
    await this.#load();
    this.#changed(() => valued(before, differing(before, this.#copy.records)));
  }

  async #load() {
    await this.#host.gather?.(this.#name);
    const { store, identity } = this.#host;
    const { version, head, records } = await store.load(identity, this.#name);
    this.#copy = { ...EMPTY, ...head, records };
    this.#held = null;
    this.#version = version;
  }

  /**
   * Decide what becomes of it, and store that. To be called alone.
   *
   * @template {{copy: Copy} | null} T
   * @param {(copy: Copy) => T} decide is called again when another tab was faster
   * @returns {Promise<T>}
   */
  async apply(decide) {
    for (;;) {
      const before = await this.read();
      const decided = decide(before);
      if (!decided || decided.copy === before) return decided;
      const { records, ...head } = decided.copy;
      const members = /** @type {(keyof Head)[]} */ (Object.keys(head));
      const isOther = members.some((each) => head[each] !== before[each]);
      const changed = differing(before.records, records);
      if (!isOther && !changed.size) return decided;
      if (await this.#commit(changed, isOther ? head : undefined)) {
        this.#copy = decided.copy;
        return decided;
      }
    }
  }

  /**
   * Store a write. Those that wait for the one before them go together.
   *
   * @param {Write} write
   * @returns {Promise<void>}
   */
  write(write) {
    this.#host.check();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...write, resolve, reject });
      this.#host.alone(() => this.#flush()).catch(reject);
    });
  }

  async #flush() {
    const writes = this.#waiting.splice(0);
    if (writes.length) await this.#store(writes);
  }

  /**
   * @param {Waiting[]} writes
   * @returns {Promise<void>}
   */
  async #store(writes) {
    try {
      while (!(await this.#tryToStore(writes)));
      for (const each of writes) each.resolve();
    } catch (error) {
      // One may be too large for what is left, and the others not.
      if (writes.length > 1) {
        for (const each of writes) await this.#store([each]);
        return;
      }
      const [{ key, reject }] = writes;
      if (error instanceof StorageError) Object.assign(error, { dataset: this.#name, key });
      reject(error);
    }
  }

  /** @param {Waiting[]} writes */
  async #tryToStore(writes) {
    const { records } = await this.read();
    let held = (this.#held ??= usage(living(records)));
    /** @type {Map<string, LocalRecord>} */
    const changed = new Map();
    for (const { key, make, now_ms } of writes) {
      const before = changed.get(key) ?? records.get(key);
      const was = before?.value ?? null;
      const text = await make(was);
      if (!before?.dirty && was === text) continue; // nothing new
      const { limits } = this.#host;
      const found =
        (text !== null && !held.records && (await this.#datasetExcess())) ||
        excess(held, key, was, text, limits);
      if (found) throw new QuotaError(this.#name, key, found);
      held = after(held, key, was, text);
      changed.set(key, written(before, text, now_ms));
    }
    if (!changed.size) return true;
    const isStored = await this.#commit(changed);
    // In place: a write of one of many records costs as much as that of one.
    if (isStored) for (const [key, record] of changed) records.set(key, record);
    return isStored;
  }

  async #datasetExcess() {
    const { store, identity, limits } = this.#host;
    const filled = [];
    for (const [whose, name] of await store.list()) {
      if (whose !== identity) continue;
      const { records } = await store.load(identity, name);
      if (living(records).length) filled.push(name);
    }
    return datasetExcess(this.#name, filled, limits);
  }

  /**
   * @param {Map<string, LocalRecord | null>} records
   * @param {Head} [head]
   */
  async #commit(records, head) {
    const { store, identity } = this.#host;
    const change = { identity, name: this.#name, version: this.#version, head, records };
    const version = await store.commit([change]);
    if (version) {
      const before = this.#copy.records;
      this.#version = version;
      for (const [key, record] of this.#held ? records : []) {
        const was = before.get(key)?.value ?? null;
        this.#held = this.#held && after(this.#held, key, was, record?.value ?? null);
      }
      this.#host.told(this.#name);
      this.#changed(() => valued(before, records));
    } else {
      await this.reload();
    }
    return version > 0;
  }
}

/**
 * The records that there are, with their values.
 *
 * @param {ReadonlyMap<string, LocalRecord>} records
 */
const living = (records) =>
  /** @type {[string, string][]} */ (
    [...records].map(([key, { value }]) => [key, value]).filter(([, value]) => value !== null)
  );

/**
 * The records that are other ones; null: gone.
 *
 * @param {ReadonlyMap<string, LocalRecord>} before
 * @param {ReadonlyMap<string, LocalRecord>} after
 * @returns {Map<string, LocalRecord | null>}
 */
function differing(before, after) {
  const found = new Map();
  if (before === after) return found;
  for (const [key, record] of after) if (before.get(key) !== record) found.set(key, record);
  for (const key of before.keys()) if (!after.has(key)) found.set(key, null);
  return found;
}

/**
 * Of records that are other ones, those whose value is.
 *
 * @param {ReadonlyMap<string, LocalRecord>} before
 * @param {ReadonlyMap<string, LocalRecord | null>} changed
 * @returns {Texts}
 */
function valued(before, changed) {
  const found = new Map();
  for (const [key, record] of changed) {
    const value = record?.value ?? null;
    if (value !== (before.get(key)?.value ?? null)) found.set(key, value);
  }
  return found;
}
