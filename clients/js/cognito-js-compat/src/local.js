/**
 * What this device has, by identity and dataset, in a storage of `@millpond/sync`.
 *
 * Everything is done in the order in which it was asked for, one after the other.
 */

import {
  EMPTY, LocalCopy, follow, newest, openStore, unsent, versionOf,
} from '@millpond/sync/internals'

import { CognitoSyncDatasetMetadata } from './metadata.js'
import { readOld, removeAllOld, removeOld, takeOver } from './old-items.js'

/** @typedef {import('@millpond/sync/internals').Copy & {synced_ms?: number}} Copy */
/** @typedef {import('@millpond/sync/internals').Store} Store */
/** @typedef {import('@millpond/sync/internals').Table} Table */
/** @typedef {{local: LocalCopy, version: number}} Held a copy, and at which version it is */
/** @typedef {import('./metadata.js').MetadataData} MetadataData */

const METADATA = 'cognito-js-compat metadata '

export class Local {
  #opening
  #area
  #tail = Promise.resolve()
  /** @type {Map<string, Held>} */
  #copies = new Map()
  /** @type {Set<string>} */
  #taken = new Set()
  /** How often everything was forgotten. */
  wipes = 0

  /**
   * @param {() => Promise<Table>} open
   * @param {import('./old-items.js').Area | undefined} area where the old library kept its data
   */
  constructor(open, area) {
    this.#opening = once(async () => {
      const table = await open()
      return { table, store: openStore(table) }
    })
    this.#area = area
  }

  /**
   * Do something after all that was asked for before.
   *
   * @template T
   * @param {string} identity
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  inOrder(identity, work) {
    const done = this.#tail.then(() => this.#takeOver(identity)).then(work)
    this.#tail = done.then(() => {}, () => {})
    return done
  }

  /**
   * What is here of a dataset now, other tabs' changes included. In order.
   *
   * @param {string} identity
   * @param {string} name
   * @returns {Promise<Copy>}
   */
  async read(identity, name) {
    const { table } = await this.#opening()
    const held = await this.#copyOf(identity, name)
    if ((await versionOf(table, identity, name)) !== held.version) await held.local.reload()
    return held.local.read()
  }

  /**
   * Change a dataset; it is stored when this is answered. In order.
   *
   * @param {string} identity
   * @param {string} name
   * @param {(copy: Copy) => Copy | undefined} decide is called again when another tab was
   *   faster; undefined: nothing is to be changed
   * @returns {Promise<Copy>} as it is now
   */
  async change(identity, name, decide) {
    const { local } = await this.#copyOf(identity, name)
    await local.apply((before) => {
      const copy = /** @type {typeof before | undefined} */ (decide(before))
      return copy ? { copy } : null
    })
    return local.read()
  }

  /**
   * The datasets of an identity, with what is known of them. In order.
   *
   * @param {string} identity
   */
  async describe(identity) {
    const { store } = await this.#opening()
    const known = await this.#metadata(identity)
    for (const [whose, name] of await store.list()) {
      if (whose === identity) known[name] ??= { DatasetName: name }
    }
    const found = []
    for (const [name, each] of Object.entries(known)) {
      const { deleting, sync_count, synced_ms } = await this.read(identity, name)
      found.push(new CognitoSyncDatasetMetadata({
        ...each,
        DatasetName: name,
        LastSyncCount: deleting ? -1 : sync_count,
        LastSyncDate: synced_ms ?? each.LastSyncDate,
      }))
    }
    return found
  }

  /**
   * Say more of a dataset, or (null) that it is not here any more. In order.
   *
   * @param {string} identity
   * @param {string} name
   * @param {(before: MetadataData | undefined) => MetadataData | null} decide
   */
  async note(identity, name, decide) {
    const { [name]: before, ...others } = await this.#metadata(identity)
    const after = decide(before)
    if (after === before) return
    const known = after ? { ...others, [name]: after } : others
    await (await this.#opening()).store.put({ [METADATA + identity]: JSON.stringify(known) })
  }

  /**
   * Forget a dataset, here alone. In order.
   *
   * @param {string} identity
   * @param {string} name
   * @param {(copy: Copy) => boolean} [isLet] whether it is, as it is found
   */
  async drop(identity, name, isLet = () => true) {
    const { store } = await this.#opening()
    for (let isDone = false; !isDone;) {
      const { version, head, records } = await store.load(identity, name)
      if (!isLet({ ...EMPTY, ...head, records })) return
      isDone = !version || !!(await store.commit([{ identity, name, version, drop: true }]))
    }
    this.#copies.delete(id(identity, name))
    await this.note(identity, name, () => null)
  }

  /**
   * Forget everything of this pool. In order.
   *
   * @param {string} identity who is here now
   * @returns {Promise<Record<string, string[]>>} the keys that were not sent, by dataset
   */
  async wipe(identity) {
    this.wipes += 1
    const { store } = await this.#opening()
    /** @type {Record<string, string[]>} */
    const lost = {}
    const whoever = new Set([identity])
    for (const [whose, name] of await store.list()) {
      const keys = unsent(await this.read(whose, name))
      if (keys.length) lost[name] = [...(lost[name] ?? []), ...keys]
      await this.drop(whose, name)
      whoever.add(whose)
    }
    await store.put(Object.fromEntries([...whoever].map((each) => [METADATA + each, null])))
    if (this.#area) removeAllOld(this.#area)
    return lost
  }

  /**
   * Bring what an identity has here to the one that it became. In order.
   *
   * @param {string} was empty: nobody yet
   * @param {string} now
   */
  async follow(was, now) {
    await this.#takeOver(was)
    const { store } = await this.#opening()
    for (const [whose, name] of await store.list()) {
      if (whose !== was) continue
      for (let isDone = false; !isDone;) {
        const [from, to] = await Promise.all([store.load(was, name), store.load(now, name)])
        const [former, copy] = [from, to].map((each) => ({ ...EMPTY, ...each.head, records: each.records }))
        const { records, ...head } = follow(copy, former, `${name}.${was}`, newest)
        isDone = !!(await store.commit([
          { identity: was, name, version: from.version, drop: true },
          { identity: now, name, version: to.version, head, records },
        ]))
      }
      this.#copies.delete(id(was, name))
      this.#copies.delete(id(now, name))
    }
    const known = await this.#metadata(was)
    for (const [name, each] of Object.entries(known)) {
      await this.note(now, name, (before) => before ?? each)
    }
    await store.put({ [METADATA + was]: null })
  }

  /**
   * @param {string} identity
   * @param {string} name
   */
  async #copyOf(identity, name) {
    const { store } = await this.#opening()
    const at = id(identity, name)
    const known = this.#copies.get(at)
    if (known) return known
    /** @type {Store} */
    const watched = {
      ...store,
      async load(...which) {
        const stored = await store.load(...which)
        held.version = stored.version
        return stored
      },
      async commit(changes) {
        const version = await store.commit(changes)
        if (version) held.version = version
        return version
      },
    }
    const host = {
      store: watched, identity, check() {}, alone: async (/** @type {any} */ work) => work(), told() {},
    }
    /** @type {Held} */
    const held = { local: new LocalCopy(host, name, () => {}), version: -1 }
    this.#copies.set(at, held)
    return held
  }

  /**
   * @param {string} identity
   * @returns {Promise<Record<string, MetadataData>>}
   */
  async #metadata(identity) {
    return JSON.parse((await (await this.#opening()).store.get(METADATA + identity)) ?? '{}')
  }

  /**
   * Take over what the old library has of an identity, once for each start of the app.
   *
   * @param {string} identity
   */
  async #takeOver(identity) {
    if (!this.#area || !identity || this.#taken.has(identity)) return
    const old = readOld(this.#area, identity)
    for (const [name, each] of old) {
      await this.change(identity, name, (copy) => takeOver(copy, each))
      await this.note(identity, name, (before) => before ?? each.metadata ?? { DatasetName: name })
    }
    if (old.size) removeOld(this.#area, identity, old.values())
    this.#taken.add(identity)
  }
}

const id = (/** @type {string[]} */ ...names) => JSON.stringify(names)

/**
 * @template T
 * @param {() => Promise<T>} work
 */
function once(work) {
  /** @type {Promise<T> | null} */
  let done = null
  return () => (done ??= work().catch((error) => {
    done = null
    throw error
  }))
}
