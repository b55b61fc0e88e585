/**
 * One synchronization, with the questions that the old library asked its app.
 *
 * The rules are those of `@millpond/sync`; here an answer of the server waits until the app
 * has said what it makes of it: first of merged datasets, then of a deletion, then of conflicts.
 */

import { EMPTY, advance, newest, start as startAhead } from '@millpond/sync/internals'

/** @typedef {import('./local.js').Copy} Copy */
/** @typedef {import('@millpond/sync/internals').LocalRecord} LocalRecord */
/** @typedef {import('@millpond/sync/internals').RemoteRecord} RemoteRecord */
/** @typedef {import('@millpond/sync/internals').Session} Session */
/** @typedef {import('@millpond/sync/internals').Event & {error?: any}} Event */
/** @typedef {{mine: LocalRecord, theirs: RemoteRecord}} Conflict */

/**
 * @typedef {object} Questions each answered by true: go on
 * @property {(names: string[]) => Promise<boolean>} merged
 * @property {() => Promise<boolean>} deleted
 * @property {(conflicts: Conflict[]) => Promise<boolean>} conflicts
 *
 * @typedef {object} Place where a dataset is
 * @property {string} name
 * @property {(decide: (copy: Copy) => Copy | undefined) => Promise<Copy>} change
 * @property {(effect: import('@millpond/sync/internals').Call) => Promise<Event>} call
 *
 * @typedef {object} Outcome
 * @property {import('@millpond/sync/internals').Done} report
 * @property {any} error of the call that ended it, where one did
 * @property {boolean} isGone the dataset was deleted, here or elsewhere
 */

/** The app says no, or does not do what it says: why, for `onFailure`. */
export class Cancelled extends Error {}

/**
 * @param {Place} place
 * @param {Questions} ask
 * @returns {Promise<Outcome>}
 * @throws {Cancelled}
 */
export async function synchronize(place, ask) {
  const { name, change, call } = place
  /** @type {Set<string>} */
  const agreed = new Set()
  let isGone = false
  let session = await begin(place)
  for (;;) {
    const effect = /** @type {import('@millpond/sync/internals').Call} */ (session.effect)
    const event = await call(effect)
    if (effect.do === 'delete' && event.is === 'deleted' && effect.dataset_name === name) {
      isGone = true
    }
    if (effect.do === 'list' && effect.dataset_name === name && event.is === 'listed') {
      const news = (event.merged_names ?? []).filter((each) => !agreed.has(each))
      if (news.length) {
        if (!(await ask.merged(news))) {
          throw new Cancelled('Cancelled due to .onDatasetsMerged result.')
        }
        for (const each of news) agreed.add(each)
        continue // with what the app has made of it
      }
      if (event.exists === false && (event.deleted || effect.since > 0) && !session.copy.deleting) {
        if (!(await ask.deleted())) {
          throw new Cancelled('Cancelled due to .onDatasetDeleted result.')
        }
        isGone = true
        await change(() => ({ ...EMPTY, records: new Map() }))
        session = await begin(place)
        continue
      }
    }
    session = await settle(session, event, place, ask)
    if (session.effect.do === 'done') return { report: session.effect, error: event.error, isGone }
  }
}

/**
 * Begin with a listing, or with an update whose answer was lost. The rules may push at once in a
 * session that they were given; here the app is to be asked first, of a deletion or a conflict.
 *
 * @param {string} name
 * @param {Copy} copy
 * @param {import('@millpond/sync/internals').Done} [report]
 */
const start = (name, copy, report) =>
  startAhead(name, copy.token === null ? copy : { ...copy, token: null }, report)

/** @param {Place} place */
async function begin({ name, change }) {
  /** @type {Session | undefined} */
  let session
  await change((copy) => (session = start(name, copy)).copy)
  return /** @type {Session} */ (session)
}

/**
 * Take an event in, once the app has resolved what it brings into conflict.
 *
 * @param {Session} session
 * @param {Event} event
 * @param {Place} place
 * @param {Questions} ask
 * @returns {Promise<Session>}
 */
async function settle(session, event, { name, change }, ask) {
  const { effect } = session
  const isOwn = effect.do === 'list' && effect.dataset_name === name
  /** @type {Map<string, number>} */
  const asked = new Map()
  for (;;) {
    /** @type {Conflict[]} */
    let conflicts = []
    /** @type {Session} */
    let next = session
    await change((copy) => {
      conflicts = []
      if (!isSameHead(copy, session.copy)) {
        next = start(name, copy, session.report) // another tab was here, or it was deleted
        return next.copy
      }
      next = advance({ ...session, copy }, event, !isOwn ? newest : (key, base, mine, theirs) => {
        conflicts.push({ mine, theirs })
        return mine.value
      })
      if (effect.do === 'delete' && event.is === 'deleted' && effect.dataset_name === name) {
        // Nobody is to be asked about a deletion of one's own, not after a crash either.
        next = start(name, { ...next.copy, sync_count: 0 }, next.report)
      }
      return conflicts.length ? undefined : ended(next)
    })
    if (!conflicts.length) return next
    const left = conflicts.filter(({ theirs }) => asked.get(theirs.key) === theirs.sync_count)
    if (left.length) throw unresolved(left)
    for (const { theirs } of conflicts) asked.set(theirs.key, theirs.sync_count)
    if (!(await ask.conflicts(conflicts))) {
      throw new Cancelled('Sync cancelled. Conflict callback returned false.')
    }
  }
}

/** @param {Session} session */
const ended = ({ copy, effect }) =>
  (effect.do === 'done' && !effect.failed ? { ...copy, synced_ms: Date.now() } : copy)

/**
 * @param {Copy} one
 * @param {Copy} other
 */
const isSameHead = (one, other) =>
  one.sync_count === other.sync_count && one.deleting === other.deleting
  && (one.sent?.token ?? null) === (other.sent?.token ?? null)
  && JSON.stringify(one.absorbed) === JSON.stringify(other.absorbed)

/** @param {Conflict[]} conflicts */
function unresolved(conflicts) {
  const keys = conflicts.map(({ theirs }) => theirs.key)
  const text = `Sync cancelled. onConflict said true and left ${keys.join(', ')} unresolved.`
  return Object.assign(new Cancelled(text), { code: 'ConflictsUnresolved', keys })
}
