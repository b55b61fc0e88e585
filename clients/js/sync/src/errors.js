/**
 * What can go wrong, as an app sees it. None of these holds a value.
 *
 *     SyncError             anything below; names the dataset, and a code
 *       UnansweredError     no answer: it goes out again by itself
 *       RefusedError        the server says no to the whole of it
 *         ConflictError     others write the same keys again and again
 *       StorageError        this device cannot store
 *         StorageFullError  there is no room left; nothing that was stored is lost
 *       QuotaError          a write would pass a limit, and was not queued
 *       CodecError          a value cannot be written as a text, or not be read (codec.js)
 *       UnsentError         signing out would forget changes that were not sent
 */

/**
 * @typedef {object} About
 * @property {string} [dataset]
 * @property {string} [key]
 * @property {Record<string, number>} [counts] the sync count that was named for each key
 * @property {Record<string, readonly string[]>} [unsent] keys by dataset
 * @property {import('./synchronizing.js').Report} [report] what was done before it failed
 * @property {unknown} [cause]
 */

/**
 * The base of all errors that are told on purpose. `code` is for programs; `dataset`, `key`, `counts`
 * (the sync count that was named for each key), `unsent` (keys by dataset), `report` (what was done
 * before it failed) and `cause` say more, where there is more.
 */
export class SyncError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {About} [about]
   */
  constructor(code, message, { cause, ...about } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    /** @type {string | undefined} */
    this.dataset = undefined;
    /** @type {string | undefined} */
    this.key = undefined;
    /** @type {import('./synchronizing.js').Report | undefined} */
    this.report = undefined;
    /** @type {Record<string, number> | undefined} */
    this.counts = undefined;
    /** @type {Record<string, readonly string[]> | undefined} */
    this.unsent = undefined;
    Object.assign(this, about);
  }
}

/** There was no answer: the network is away, or the server. It goes out again by itself. */
export class UnansweredError extends SyncError {}

/** The server refuses all of it; `code` is that of its API. */
export class RefusedError extends SyncError {}

/** Refused though everything was pulled: somebody writes these keys all the time. */
export class ConflictError extends RefusedError {}

/** The storage of this device fails. */
export class StorageError extends SyncError {}

/** The storage of this device is full. What it had it still has. */
export class StorageFullError extends StorageError {}

/**
 * A write would pass a limit of the server, so it was not queued: `limit` is its name (`Limits`),
 * `number` what there would be, `most` the limit.
 */
export class QuotaError extends SyncError {
  /**
   * @param {string} dataset
   * @param {string} key
   * @param {import('./rules/quota.js').Excess} excess which limit, what there would be, and the
   *   most that there may be
   */
  constructor(dataset, key, { limit, number, most }) {
    super('Quota', `"${dataset}", "${key}": ${limit} would be ${number}, at most ${most}.`, {
      dataset,
      key,
    });
    this.limit = limit;
    this.number = number;
    this.most = most;
  }
}

/** Changes were not sent yet; `unsent` names their keys. */
export class UnsentError extends SyncError {}

/**
 * Say what a failing storage means to the app.
 *
 * @param {unknown} cause
 */
export function asStorageError(cause) {
  if (cause instanceof SyncError) return cause;
  const { name = 'Error' } = /** @type {{name?: string}} */ (cause ?? {});
  // Firefox names the one of localStorage otherwise.
  return /quota/i.test(name)
    ? new StorageFullError('StorageFull', 'The storage of this device is full.', { cause })
    : new StorageError('Storage', `The storage of this device fails: ${name}.`, { cause });
}
