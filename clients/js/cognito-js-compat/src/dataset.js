/** `AWS.CognitoSyncManager.Dataset`: what an app reads, writes and synchronizes. */

import { written } from '@millpond/sync/internals'

import { asOldError, credentialsError } from './credentials.js'
import { CognitoSyncConflict, CognitoSyncRecord, recordOf, remoteRecordOf } from './records.js'
import { Cancelled, synchronize } from './synchronizing.js'

/** @typedef {import('./metadata.js').CognitoSyncDatasetMetadata} Metadata */
/** @typedef {import('@millpond/sync/internals').RemoteRecord} RemoteRecord */
/** @typedef {import('./manager.js').CognitoSyncManager} Manager */

/**
 * A callback gets an error or what was asked for, never before the call has returned.
 *
 * @template T
 * @typedef {(error: any, result?: T) => void} Callback
 */

/**
 * @typedef {object} SyncCallbacks
 * @property {(dataset: CognitoSyncDataset, updates: CognitoSyncRecord[]) => void} [onSuccess] is
 *   given the records that came from elsewhere
 * @property {(error: any) => void} [onFailure]
 * @property {(dataset: CognitoSyncDataset, conflicts: CognitoSyncConflict[],
 *   callback: (isContinue: boolean) => void) => void} [onConflict] calls `resolve`, and then back
 * @property {(dataset: CognitoSyncDataset, name: string,
 *   callback: (isContinue: boolean) => void) => void} [onDatasetDeleted] true: here, too
 * @property {(dataset: CognitoSyncDataset, names: string[],
 *   callback: (isContinue: boolean) => void) => void} [onDatasetsMerged] true: what these
 *   datasets have is taken into this one, and they are deleted
 */

const KEY = /^[a-zA-Z0-9_.:-]{1,128}$/

/**
 * A dataset. Callbacks get an error or what was asked for, never before the call has returned.
 */
export class CognitoSyncDataset {
  #manager
  /** @type {Map<string, RemoteRecord>} what the app was told last of keys in conflict */
  #told = new Map()

  /**
   * For the manager: use `openOrCreateDataset`.
   *
   * @param {string} datasetName
   * @param {Manager} manager
   */
  constructor(datasetName, manager) {
    this.datasetName = datasetName
    this.#manager = manager
    this.provider = manager.provider
  }

  /** @param {string} key */
  validateKey(key) {
    return KEY.test(key)
  }

  getIdentityId() {
    return this.provider.identityId
  }

  /**
   * @param {string} key
   * @param {string} value
   * @param {Callback<CognitoSyncRecord>} [callback]
   */
  put(key, value, callback) {
    if (typeof value === 'string') return this.#write(key, value, callback)
    return this.#do(callback, async () => {
      throw this.#isValid(key) && notText(value)
    })
  }

  /**
   * @param {string} key
   * @param {Callback<CognitoSyncRecord>} [callback]
   */
  remove(key, callback) {
    return this.#write(key, null, callback)
  }

  /**
   * All of them or, where a key or a value is not valid, none; null removes.
   *
   * @param {Record<string, string | null>} values
   * @param {Callback<boolean>} [callback]
   */
  putAll(values, callback) {
    const entries = Object.entries(values)
    this.#do(callback, async (change) => {
      if (!entries.every(([key]) => this.validateKey(key))) {
        throw new Error('Object contains invalid keys.')
      }
      for (const [, value] of entries) if (!isValue(value)) throw notText(value)
      await change((copy) => changed(copy, entries))
      return true
    })
  }

  /**
   * @param {string} key
   * @param {Callback<string | undefined>} callback undefined: there is none
   */
  get(key, callback) {
    this.#do(callback, async (_change, read) => {
      this.#isValid(key)
      return (await read()).records.get(String(key))?.value ?? undefined
    })
  }

  /** @param {Callback<Record<string, string>>} callback */
  getAll(callback) {
    this.#do(callback, async (_change, read) => {
      const entries = [...(await read()).records].map(([key, { value }]) => [key, value])
      return Object.fromEntries(entries.filter(([, value]) => value !== null))
    })
  }

  /** @param {Callback<CognitoSyncRecord[]>} callback removed ones, too, for as long as they are known */
  getAllRecords(callback) {
    this.#do(callback, async (_change, read) =>
      [...(await read()).records].map((entry) => recordOf(...entry)))
  }

  /** @param {Callback<CognitoSyncRecord[]>} callback those that were not sent yet */
  getModifiedRecords(callback) {
    this.#do(callback, async (_change, read) =>
      [...(await read()).records].filter(([, { dirty }]) => dirty).map((entry) => recordOf(...entry)))
  }

  /**
   * @param {string} key
   * @param {Callback<boolean | null>} callback null: there is no such record
   */
  isChanged(key, callback) {
    this.#do(callback, async (_change, read) => {
      this.#isValid(key)
      return (await read()).records.get(String(key))?.dirty ?? null
    })
  }

  /** @param {Callback<number>} callback bytes at the server, as `refreshDatasetMetadata` found them */
  getDataStorage(callback) {
    this.#do(callback, async () => (await this.#describe())?.getDataStorage() ?? 0)
  }

  /** @param {Callback<Metadata | undefined>} callback */
  getDatasetMetadata(callback) {
    this.#do(callback, () => this.#describe())
  }

  /**
   * Names of merged datasets that are here: none, as they are taken in where they are found.
   *
   * @param {Callback<string[]>} callback
   */
  getLocalMergedDatasets(callback) {
    this.#do(callback, async () => [])
  }

  /**
   * Say what becomes of records in conflict.
   *
   * @param {CognitoSyncRecord[]} resolvedRecords
   * @param {Callback<boolean>} [callback]
   */
  resolve(resolvedRecords, callback) {
    this.#do(callback, async (change) => {
      for (const each of resolvedRecords) {
        this.#isValid(each.getKey())
        if (!isValue(each.getValue())) throw notText(each.getValue())
      }
      await change((copy) => {
        const records = new Map(copy.records)
        for (const each of resolvedRecords) {
          records.set(each.getKey(), this.#resolved(records.get(each.getKey()), each))
        }
        return { ...copy, records }
      })
      return true
    })
  }

  /**
   * Bring this device and the server together; one after the other where it is asked for twice.
   *
   * @param {SyncCallbacks | null} [callbacks]
   */
  synchronize(callbacks) {
    const given = callbacks ?? {}
    const manager = this.#manager
    manager.exclusive(this.datasetName, () => this.#synchronize(given)).then(
      (updates) => queueMicrotask(() => given.onSuccess?.(this, updates)),
      (error) => queueMicrotask(() => given.onFailure?.(asOldError(error))),
    )
  }

  /** @param {SyncCallbacks} callbacks whose methods are called as such */
  async #synchronize(callbacks) {
    const { local, logger } = this.#manager
    const name = this.datasetName
    logger(`Synchronizing ${name}.`)
    const ask = (/** @type {'onConflict' | 'onDatasetDeleted' | 'onDatasetsMerged'} */ question,
      /** @type {any} */ what) => this.#manager.asking(name, () => new Promise((resolve, reject) =>
      queueMicrotask(() => {
        try {
          if (callbacks[question]) callbacks[question](this, what, resolve)
          else resolve(false)
        } catch (error) {
          reject(error)
        }
      })))
    const { identity, report, error, isGone } = await this.#agree({
      merged: (names) => ask('onDatasetsMerged', names),
      deleted: () => ask('onDatasetDeleted', name),
      conflicts: (found) => {
        this.#told = new Map(found.map(({ theirs }) => [theirs.key, theirs]))
        return ask('onConflict', found.map(({ mine, theirs }) =>
          new CognitoSyncConflict(remoteRecordOf(theirs), recordOf(theirs.key, mine))))
      },
    })
    logger(`Synchronized ${name}: ${report.pulled.length} pulled, ${report.pushed.length} pushed.`)
    if (report.failed) throw this.#failed(report.failed, error)
    if (Object.keys(report.set_aside).length) throw this.#refused(report.set_aside)
    const { records } = await local.inOrder(identity, async () => {
      const copy = await local.read(identity, name)
      if (isGone) await local.drop(identity, name, isNothing)
      return copy
    })
    return report.pulled.map((key) => {
      const record = records.get(key)
      return record ? recordOf(key, record) : new CognitoSyncRecord({ Key: key, Value: null })
    })
  }

  /**
   * Synchronize as whoever it is, and anew where that one turns out to be another.
   *
   * @param {import('./synchronizing.js').Questions} questions
   */
  async #agree(questions) {
    const { local, remote } = this.#manager
    const name = this.datasetName
    for (;;) {
      const identity = await this.#manager.settle()
      const { wipes } = local
      const done = await synchronize({
        name,
        change: (decide) => local.inOrder(identity, () => {
          // Whoever signed out shall not have it all back by what was under way.
          if (local.wipes !== wipes) throw new Cancelled('Sync cancelled. The data was wiped.')
          return local.change(identity, name, decide)
        }),
        call: async (effect) => /** @type {any} */ (await remote.perform(name, effect, identity)),
      }, questions)
      if (!done.report.failed || this.getIdentityId() === identity) return { identity, ...done }
    }
  }

  /**
   * @param {string} code
   * @param {any} error of the call, where there was one
   */
  #failed(code, error) {
    if (error?.code === 'NoCredentials') return credentialsError(error.cause)
    return error ?? Object.assign(new Error(`${this.datasetName}: ${code}`), { code })
  }

  /** @param {Readonly<Record<string, string>>} codes by key */
  #refused(codes) {
    const told = Object.entries(codes).map(([key, code]) => `${key} (${code})`)
    const text = `The server refuses of ${this.datasetName}: ${told.join(', ')}. All else is in step.`
    return Object.assign(new Error(text), { code: Object.values(codes)[0], keys: Object.keys(codes) })
  }

  /**
   * @param {import('@millpond/sync/internals').LocalRecord | undefined} before
   * @param {CognitoSyncRecord} resolved
   */
  #resolved(before, resolved) {
    const theirs = this.#told.get(resolved.getKey())
    const value = resolved.getValue()
    const base_count = resolved.getSyncCount()
    const base = theirs?.sync_count === base_count ? (theirs.value ?? null) : (before?.base ?? null)
    const after = { ...written(before, value, Date.now()), base, base_count }
    return resolved.isModified() ? after : { ...after, base: value, dirty: false }
  }

  /**
   * @param {string} key
   * @param {string | null} value
   * @param {Callback<CognitoSyncRecord>} [callback]
   */
  #write(key, value, callback) {
    return this.#do(callback, async (change) => {
      this.#isValid(key)
      const { records } = await change((copy) => changed(copy, [[String(key), value]]))
      return recordOf(String(key), /** @type {any} */ (records.get(String(key))))
    })
  }

  /** @param {string} key */
  #isValid(key) {
    if (!this.validateKey(key)) throw new Error('Invalid key.')
    return true
  }

  async #describe() {
    const all = await this.#manager.local.describe(this.getIdentityId() ?? '')
    return all.find((each) => each.getDatasetName() === this.datasetName)
  }

  /**
   * Do something for whoever is here as it is asked for, and tell the app.
   *
   * @template T
   * @param {Callback<T> | undefined} callback
   * @param {(change: (decide: (copy: import('./local.js').Copy) => import('./local.js').Copy) =>
   *   Promise<import('./local.js').Copy>, read: () => Promise<import('./local.js').Copy>) =>
   *   Promise<T>} work
   */
  #do(callback, work) {
    const { local } = this.#manager
    const identity = this.getIdentityId() ?? ''
    this.#manager.tell(callback, local.inOrder(identity, () => work(
      (decide) => local.change(identity, this.datasetName, decide),
      () => local.read(identity, this.datasetName),
    )))
  }
}

/**
 * Writes of the app, but for those that are what the records have.
 *
 * @param {import('./local.js').Copy} copy
 * @param {[key: string, value: string | null][]} writes
 */
function changed(copy, writes) {
  const isNews = (/** @type {typeof writes[0]} */ [key, value]) => {
    const before = copy.records.get(key)
    return !before || before.value !== value || before.refused
  }
  const news = writes.filter(isNews)
  if (!news.length) return copy
  const records = new Map(copy.records)
  for (const [key, value] of news) records.set(key, written(records.get(key), value, Date.now()))
  return { ...copy, records }
}

/** @param {import('./local.js').Copy} copy */
const isNothing = ({ records, deleting }) => !records.size && !deleting

/** @param {unknown} value */
const isValue = (value) => value === null || typeof value === 'string'

/** @param {unknown} value */
const notText = (value) => new Error(`The value type must be a string but was ${typeof value}.`)
