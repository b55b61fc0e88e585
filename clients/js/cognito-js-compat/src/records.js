/** Records and conflicts, with the methods that apps written for `amazon-cognito-js` call. */

/**
 * What a record is made of, and what its `toJSON` gives.
 *
 * @typedef {object} RecordData
 * @property {string} [Key]
 * @property {string | null} [Value] null: it was removed
 * @property {number} [SyncCount] the dataset's, when the server took the record last; 0: never
 * @property {Date | number | string} [LastModifiedDate]
 * @property {string} [LastModifiedBy]
 * @property {Date | number | string} [DeviceLastModifiedDate]
 * @property {boolean} [Modified] changed here since
 */

/** A record of a dataset. Setters give the record, so that they can be chained. */
export class CognitoSyncRecord {
  /** @param {RecordData} [data] */
  constructor({
    Key = '', Value = '', SyncCount = 0, LastModifiedBy = '', Modified = false,
    LastModifiedDate, DeviceLastModifiedDate,
  } = {}) {
    this.key = Key
    /** @type {string | null} */
    this.value = Value
    this.syncCount = SyncCount
    this.lastModifiedDate = new Date(LastModifiedDate ?? Date.now())
    this.lastModifiedBy = LastModifiedBy
    this.deviceLastModifiedDate = new Date(DeviceLastModifiedDate ?? Date.now())
    this.modified = Modified
  }

  getKey() {
    return this.key
  }

  /** @param {string} key */
  setKey(key) {
    this.key = key
    return this
  }

  /** The value; null of a record that was removed. */
  getValue() {
    return this.value
  }

  /** @param {string | null} value */
  setValue(value) {
    this.value = value
    return this
  }

  getSyncCount() {
    return this.syncCount
  }

  /** @param {number} syncCount */
  setSyncCount(syncCount) {
    this.syncCount = syncCount
    return this
  }

  getLastModifiedDate() {
    return new Date(this.lastModifiedDate)
  }

  /** @param {Date | number | string} modifiedDate */
  setLastModifiedDate(modifiedDate) {
    this.lastModifiedDate = new Date(modifiedDate)
    return this
  }

  getLastModifiedBy() {
    return this.lastModifiedBy
  }

  /** @param {string} modifiedBy */
  setLastModifiedBy(modifiedBy) {
    this.lastModifiedBy = modifiedBy
    return this
  }

  getDeviceLastModifiedDate() {
    return new Date(this.deviceLastModifiedDate)
  }

  /** @param {Date | number | string} modifiedDate */
  setDeviceLastModifiedDate(modifiedDate) {
    this.deviceLastModifiedDate = new Date(modifiedDate)
    return this
  }

  isModified() {
    return this.modified
  }

  /** @param {boolean} modified */
  setModified(modified) {
    this.modified = modified
    return this
  }

  isDeleted() {
    return this.value === null
  }

  toString() {
    return JSON.stringify(this)
  }

  toJSON() {
    return {
      Key: this.key,
      Value: this.value,
      SyncCount: this.syncCount,
      LastModifiedDate: this.lastModifiedDate,
      LastModifiedBy: this.lastModifiedBy,
      DeviceLastModifiedDate: this.deviceLastModifiedDate,
      Modified: this.modified,
    }
  }
}

/** A record that both this device and another one changed. */
export class CognitoSyncConflict {
  /**
   * @param {CognitoSyncRecord} remoteRecord
   * @param {CognitoSyncRecord} localRecord
   */
  constructor(remoteRecord, localRecord) {
    const both = [remoteRecord, localRecord]
    if (!both.every(Boolean)) throw new Error('Remote and local records cannot be null.')
    if (!both.every((each) => each.getKey)) throw new Error('Records are not record objects.')
    if (remoteRecord.getKey() !== localRecord.getKey()) {
      throw new Error('Remote and local keys do not match.')
    }
    this.key = remoteRecord.getKey()
    this.remoteRecord = remoteRecord
    this.localRecord = localRecord
  }

  getKey() {
    return this.key
  }

  getRemoteRecord() {
    return this.remoteRecord
  }

  getLocalRecord() {
    return this.localRecord
  }

  /** What the other device wrote, for `resolve`. */
  resolveWithRemoteRecord() {
    return this.remoteRecord.setModified(false)
  }

  /** What this device wrote, on top of what the other one did. */
  resolveWithLocalRecord() {
    return this.localRecord.setSyncCount(this.remoteRecord.getSyncCount()).setModified(true)
  }

  /**
   * Something made of both.
   *
   * @param {string | null} newValue
   */
  resolveWithValue(newValue) {
    return new CognitoSyncRecord({
      Key: this.key,
      Value: newValue,
      SyncCount: this.remoteRecord.getSyncCount(),
      LastModifiedBy: this.localRecord.getLastModifiedBy(),
      Modified: true,
    })
  }
}

/**
 * A record as an app sees it, of one as it is kept.
 *
 * @param {string} key
 * @param {import('@millpond/sync/internals').LocalRecord} record
 */
export const recordOf = (key, { value, base_count, modified_ms, dirty }) =>
  new CognitoSyncRecord({
    Key: key,
    Value: value,
    SyncCount: Math.max(base_count, 0),
    LastModifiedDate: modified_ms || undefined,
    DeviceLastModifiedDate: modified_ms || undefined,
    Modified: dirty,
  })

/**
 * A record as an app sees it, of one as the server told it.
 *
 * @param {import('@millpond/sync/internals').RemoteRecord} record
 */
export const remoteRecordOf = ({ key, value = null, sync_count, modified_ms }) =>
  new CognitoSyncRecord({
    Key: key,
    Value: value,
    SyncCount: sync_count,
    LastModifiedDate: modified_ms || undefined,
    DeviceLastModifiedDate: modified_ms || undefined,
  })
