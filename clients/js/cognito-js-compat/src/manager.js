/** `AWS.CognitoSyncManager`. */

import {
  connect, deleted, indexedDB, localStorage as inLocalStorage, memory,
} from '@millpond/sync/internals'

import { config, placeOf } from './config.js'
import { asOldError, credentialsError, storageOf } from './credentials.js'
import { CognitoSyncDataset } from './dataset.js'
import { Local } from './local.js'
import { CognitoSyncDatasetMetadata } from './metadata.js'
import { CognitoSyncConflict, CognitoSyncRecord } from './records.js'

/**
 * @template T
 * @typedef {import('./dataset.js').Callback<T>} Callback
 */

/** For `DataStore`: what an app keeps lasts as long as its manager. */
export class StoreInMemory {
  static storage = memory
}

/** For `DataStore`; what is taken where there is no IndexedDB. */
export class StoreLocalStorage {
  static storage = inLocalStorage
}

/**
 * @typedef {object} ManagerOptions
 * @property {string} [endpoint] the URL of the server, where that of `AWS.config` is not meant
 * @property {string} [region]
 * @property {any} [credentials] by default `AWS.config.credentials`; anything that has
 *   `identityId`, `params.IdentityPoolId`, `get(callback)`, `accessKeyId`, `secretAccessKey` and
 *   `sessionToken`, as those of `aws-sdk` do
 * @property {typeof StoreInMemory | typeof StoreLocalStorage} [DataStore]
 * @property {import('@millpond/sync/internals').Storage} [storage] one of `@millpond/sync`
 * @property {(text: string) => void} [log] is told what goes on, and never a value
 * @property {typeof globalThis.fetch} [fetch]
 */

const NAME = /^[a-zA-Z0-9_.:-]{1,128}$/

/** Gives datasets; one of them for each identity pool. */
export class CognitoSyncManager {
  static Dataset = CognitoSyncDataset
  static DatasetMetadata = CognitoSyncDatasetMetadata
  static Record = CognitoSyncRecord
  static Conflict = CognitoSyncConflict
  static StoreInMemory = StoreInMemory
  static StoreLocalStorage = StoreLocalStorage

  #place
  /** @type {Map<string, Promise<unknown>>} */
  #running = new Map()
  /** @type {Map<string, number>} how many questions of a dataset are open */
  #asking = new Map()
  #following

  /** @param {ManagerOptions} [options] */
  constructor(options = {}) {
    this.provider = options.credentials ?? config.credentials
    if (!this.provider) throw new Error('There are no credentials: set AWS.config.credentials.')
    if (!globalThis.crypto?.subtle) {
      throw new Error('There is no WebCrypto to sign with: serve the page over https or from localhost.')
    }
    /** @type {string} */
    this.identityPoolId = this.provider.params.IdentityPoolId
    this.#place = placeOf('cognitosync', options, this.identityPoolId)
    this.region = this.#place.region
    this.logger = typeof options.log === 'function' ? options.log : () => {}

    const area = storageOf()
    const storage = options.storage ?? storageFor(options.DataStore, area)
    // As @millpond/sync names it, so that an app may go on with that one.
    const namespace = `${this.#place.endpoint.replace(/\/+$/, '')} ${this.identityPoolId}`
    const isOldPlace = options.DataStore !== StoreInMemory
    this.local = new LocalStorage(() => storage.open(namespace), isOldPlace ? area : undefined, this)
    /** @type {import('@millpond/sync/internals').Remote} */
    this.remote = connect({
      ...this.#place,
      pool: this.identityPoolId,
      credentials: signer(this.provider),
      kept: { get: async () => null, put: async () => {}, merged: async () => {} },
      fetch: options.fetch,
    })
    this.#following = Promise.resolve(this.provider.follow?.((/** @type {[string, string]} */ ...ids) =>
      this.local.inOrder(ids[1], () => this.local.follow(...ids))))
  }

  /** @returns {string | undefined} */
  getIdentityId() {
    return this.provider.identityId
  }

  /**
   * @param {string} datasetName
   * @param {Callback<CognitoSyncDataset>} callback
   */
  openOrCreateDataset(datasetName, callback) {
    const identity = this.getIdentityId() ?? ''
    const name = String(datasetName)
    this.tell(callback, this.local.inOrder(identity, async () => {
      if (!NAME.test(name)) throw new Error(`Dataset name must match the pattern ${NAME}`)
      const now = Date.now()
      await this.local.note(identity, name, (before) =>
        before ?? { DatasetName: name, CreationDate: now, LastModifiedDate: now })
      return new CognitoSyncDataset(name, this)
    }))
  }

  /** @param {Callback<CognitoSyncDatasetMetadata[]>} callback the datasets that are here */
  listDatasets(callback) {
    const identity = this.getIdentityId() ?? ''
    this.tell(callback, this.local.inOrder(identity, () => this.local.describe(identity)))
  }

  /**
   * Ask the server for its datasets.
   *
   * @param {Callback<CognitoSyncDatasetMetadata[]>} callback those that it has
   */
  refreshDatasetMetadata(callback) {
    this.tell(callback, this.#refresh())
  }

  /**
   * Forget everything on this device, and who it is.
   *
   * @param {Callback<Record<string, string[]>>} [callback] is given the keys that were not sent, by dataset
   */
  wipeData(callback) {
    const identity = this.getIdentityId() ?? ''
    this.provider.clearCachedId?.()
    this.local.wipeData(callback, identity)
  }

  /**
   * Tell the app what came of something. What its callback throws is nobody's but the app's.
   *
   * @internal
   * @template T
   * @param {Callback<T> | undefined} callback
   * @param {Promise<T>} work
   */
  tell(callback, work) {
    work.then(
      (result) => queueMicrotask(() => callback?.(null, result)),
      (error) => queueMicrotask(() => callback?.(asOldError(error))),
    )
  }

  /**
   * Who it is once there are credentials, and once everything that follows has followed.
   *
   * @internal
   * @returns {Promise<string>}
   */
  async settle() {
    await this.#following
    try {
      await got(this.provider)
    } catch (cause) {
      throw credentialsError(cause)
    }
    const { identityId } = this.provider
    if (!identityId) throw credentialsError(new Error('They do not say whose they are.'))
    return identityId
  }

  /**
   * Wait for the app's answer. What it synchronizes meanwhile does not wait for itself.
   *
   * @internal
   * @template T
   * @param {string} name
   * @param {() => Promise<T>} answer
   * @returns {Promise<T>}
   */
  async asking(name, answer) {
    const count = (/** @type {number} */ by) =>
      this.#asking.set(name, (this.#asking.get(name) ?? 0) + by)
    count(1)
    try {
      return await answer()
    } finally {
      count(-1)
    }
  }

  /**
   * Do one thing at a time with a dataset, of all tabs.
   *
   * @internal
   * @template T
   * @param {string} name
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  exclusive(name, work) {
    // Whoever is asked finds out by itself that something was done in between.
    if (this.#asking.get(name)) return work()
    const { locks } = globalThis.navigator ?? {}
    const lock = `cognito-js-compat ${this.#place.endpoint} ${this.identityPoolId} ${name}`
    const before = this.#running.get(name) ?? Promise.resolve()
    const done = before.then(() => (locks ? locks.request(lock, work) : work()))
    this.#running.set(name, done.catch(() => {}))
    return /** @type {Promise<T>} */ (done)
  }

  async #refresh() {
    const identity = await this.settle()
    /** @type {CognitoSyncDatasetMetadata[]} */
    const found = []
    const { api } = this.remote
    const call = { IdentityPoolId: this.identityPoolId, IdentityId: identity }
    for (let NextToken; ;) {
      const page = await api.call('ListDatasets', { ...call, NextToken })
      for (const each of page.Datasets) found.push(new CognitoSyncDatasetMetadata(inMilliseconds(each)))
      NextToken = page.NextToken
      if (!NextToken) break
    }
    return this.local.inOrder(identity, async () => {
      for (const each of found) {
        const { LastSyncCount: _, LastSyncDate: __, ...told } = each.toJSON()
        await this.local.note(identity, each.getDatasetName(), () => told)
      }
      const names = new Set(found.map((each) => each.getDatasetName()))
      return (await this.local.describe(identity)).filter((each) => names.has(each.getDatasetName()))
    })
  }
}

/** What is here, with the methods that apps reach for beside those of a manager. */
class LocalStorage extends Local {
  #manager

  /**
   * @param {() => Promise<import('@millpond/sync/internals').Table>} open
   * @param {import('./old-items.js').Area | undefined} area
   * @param {CognitoSyncManager} manager
   */
  constructor(open, area, manager) {
    super(open, area)
    this.#manager = manager
  }

  /**
   * Delete a dataset here; the server is told with the next synchronization.
   *
   * @param {string} identityId
   * @param {string} datasetName
   * @param {Callback<boolean>} [callback]
   */
  deleteDataset(identityId, datasetName, callback) {
    this.#manager.tell(callback, this.inOrder(identityId, async () => {
      await this.change(identityId, datasetName, deleted)
      return true
    }))
  }

  /**
   * Forget a dataset here alone.
   *
   * @param {string} identityId
   * @param {string} datasetName
   * @param {Callback<boolean>} [callback]
   */
  purgeDataset(identityId, datasetName, callback) {
    this.#manager.tell(callback, this.inOrder(identityId, async () => {
      await this.drop(identityId, datasetName)
      return true
    }))
  }

  /**
   * Forget everything of the pool, here alone.
   *
   * @param {Callback<Record<string, string[]>>} [callback]
   * @param {string} [identity]
   */
  wipeData(callback, identity = this.#manager.getIdentityId() ?? '') {
    this.#manager.tell(callback, this.inOrder(identity, () => this.wipe(identity)))
  }
}

/**
 * @param {ManagerOptions['DataStore']} chosen
 * @param {globalThis.Storage | undefined} area
 */
function storageFor(chosen, area) {
  if (chosen && !chosen.storage) {
    throw new Error('A DataStore of your own is not taken; give `storage`, one of @millpond/sync.')
  }
  if (chosen === StoreInMemory) return memory()
  // Of the two only IndexedDB shows all tabs the same at the same time.
  if (!chosen && globalThis.indexedDB) return indexedDB()
  return chosen || area ? inLocalStorage({ area }) : memory()
}

/**
 * Credentials of the old form as those that sign. Who it is, this package knows by itself.
 *
 * @param {any} provider
 */
const signer = (provider) => ({
  attach() {},
  known: async () => provider.identityId ?? null,
  identityId: async () => provider.identityId,
  async forget() {},
  /** @param {{accessKeyId: string}} [refused] */
  async credentials(refused) {
    if (refused && refused.accessKeyId === provider.accessKeyId) provider.expired = true
    await got(provider)
    const { accessKeyId, secretAccessKey, sessionToken } = provider
    return { accessKeyId, secretAccessKey, sessionToken }
  },
})

/**
 * @param {any} provider
 * @returns {Promise<void>}
 */
const got = (provider) =>
  new Promise((resolve, reject) =>
    provider.get((/** @type {any} */ error) => (error ? reject(error) : resolve())))

/**
 * Metadata of the server, whose dates are epoch seconds.
 *
 * @param {any} told
 */
const inMilliseconds = ({ CreationDate, LastModifiedDate, ...told }) => ({
  ...told,
  CreationDate: CreationDate * 1000,
  LastModifiedDate: LastModifiedDate * 1000,
})
