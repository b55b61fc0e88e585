/**
 * What `amazon-cognito-js` left in `localStorage`, read as copies of ours.
 *
 * Its items, seen in real ones: `<identity id>.<dataset>` has the records by key, each with `Key`,
 * `Value`, `SyncCount`, `DeviceLastModifiedDate` and `Modified`; `_internal._metadata` has, by
 * identity id, what is known of its datasets, each under `<identity id>.<dataset>`; after a
 * change of identity those of another one, too.
 *
 * Its sync count is not taken over, so that the first synchronization asks for everything:
 * that library may have gone past what others wrote without pulling it.
 */

import { EMPTY, written } from '@millpond/sync/internals'

/** @typedef {import('@millpond/sync/internals').Copy} Copy */
/** @typedef {import('@millpond/sync/internals').LocalRecord} LocalRecord */
/** @typedef {Pick<globalThis.Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>} Area */

const METADATA = '_internal._metadata'
const NAME = /^[a-zA-Z0-9_.:-]{1,128}$/
const ITEM = /^[a-z0-9-]+:[0-9a-f-]{36}\.[a-zA-Z0-9_.:-]{1,128}$/
/** No value: the server refuses this character, so nothing it tells is ever the same. */
const UNKNOWN = '\0'

/**
 * A dataset as the old library left it.
 *
 * @typedef {object} OldDataset
 * @property {string} item its name in the storage
 * @property {Record<string, any>} records
 * @property {import('./metadata.js').MetadataData} [metadata]
 */

/**
 * The datasets of an identity, by name.
 *
 * @param {Area} area
 * @param {string} identity
 * @returns {Map<string, OldDataset>}
 */
export function readOld(area, identity) {
  /** @type {Map<string, OldDataset>} */
  const found = new Map()
  const start = `${identity}.`
  for (let at = 0; at < area.length; at++) {
    const item = area.key(at) ?? ''
    const name = item.slice(start.length)
    if (!item.startsWith(start) || !NAME.test(name)) continue
    const records = asObject(area.getItem(item))
    if (records) found.set(name, { item, records })
  }
  const metadata = asObject(area.getItem(METADATA))?.[identity] ?? {}
  for (const [item, each] of Object.entries(metadata)) {
    const name = item.slice(start.length)
    if (!item.startsWith(start) || !NAME.test(name)) continue
    found.set(name, { item, records: {}, ...found.get(name), metadata: asMetadata(name, each) })
  }
  return found
}

/**
 * Take a dataset of the old library into what is here of it, which may be nothing.
 *
 * @param {Copy} copy
 * @param {OldDataset} old
 * @returns {Copy}
 */
export function takeOver(copy, { records, metadata }) {
  const isNew = copy.sync_count === 0 && !copy.records.size && !copy.deleting
  if (isNew && metadata?.LastSyncCount === -1) copy = { ...EMPTY, deleting: true }
  const taken = new Map(copy.records)
  for (const [key, each] of Object.entries(records)) {
    const record = isNew ? asRecord(each) : asWrite(taken.get(key), each)
    if (record && key) taken.set(key, record)
  }
  return { ...copy, records: taken }
}

/**
 * Forget what was taken over.
 *
 * @param {Area} area
 * @param {string} identity
 * @param {Iterable<OldDataset>} taken
 */
export function removeOld(area, identity, taken) {
  for (const { item } of taken) area.removeItem(item)
  const { [identity]: _, ...others } = asObject(area.getItem(METADATA)) ?? {}
  if (Object.keys(others).length) area.setItem(METADATA, JSON.stringify(others))
  else area.removeItem(METADATA)
}

/**
 * Forget whatever it left, of all identities.
 *
 * @param {Area} area
 */
export function removeAllOld(area) {
  const items = Array.from({ length: area.length }, (_, at) => area.key(at) ?? '')
  for (const item of items) if (item === METADATA || ITEM.test(item)) area.removeItem(item)
}

/**
 * @param {any} old
 * @returns {LocalRecord | undefined}
 */
function asRecord(old) {
  const text = textOf(old)
  if (text === undefined) return
  const { SyncCount: count, Modified: dirty, DeviceLastModifiedDate: date } = old
  const base_count = Number.isSafeInteger(count) && count > 0 ? count : 0
  // A tombstone that it pulled it has as an empty text; what really is one comes again.
  const value = dirty ? text : text || null
  const base = dirty ? (base_count ? UNKNOWN : null) : value
  const modified_ms = Date.parse(date) || 0
  return { value, base, base_count, dirty: !!dirty, edit: dirty ? 1 : 0, modified_ms, refused: null }
}

/**
 * What was written with the old library after the first take-over, as by an old page.
 *
 * @param {LocalRecord | undefined} before
 * @param {any} old
 */
function asWrite(before, old) {
  const text = textOf(old)
  const modified_ms = Date.parse(old?.DeviceLastModifiedDate) || 0
  if (text === undefined || !old.Modified || modified_ms <= (before?.modified_ms ?? 0)) return
  return text === before?.value ? undefined : written(before, text, modified_ms)
}

/**
 * @param {string} DatasetName
 * @param {any} old
 * @returns {import('./metadata.js').MetadataData}
 */
function asMetadata(DatasetName, old) {
  const { CreationDate, LastModifiedDate, LastModifiedBy, LastSyncDate, LastSyncCount } = old ?? {}
  const [DataStorage, NumRecords] = [old?.DataStorage, old?.NumRecords].map((each) =>
    (each > 0 ? Number(each) : 0))
  return {
    DatasetName, CreationDate, LastModifiedDate, LastModifiedBy, DataStorage, NumRecords, LastSyncCount,
    LastSyncDate,
  }
}

/**
 * The value of an old record; undefined: it is none.
 *
 * @param {any} old
 * @returns {string | null | undefined}
 */
function textOf(old) {
  const { Value } = old ?? {}
  if (Value === null || typeof Value === 'string') return Value
  // `putAll` of the old library took anything, and no server ever did.
  return Value === undefined ? undefined : JSON.stringify(Value)
}

/**
 * @param {string | null} text
 * @returns {Record<string, any> | undefined}
 */
function asObject(text) {
  try {
    const value = JSON.parse(text ?? 'null')
    return value && typeof value === 'object' && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}
