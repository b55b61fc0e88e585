/** What is known of a dataset beside its records. */

/**
 * @typedef {object} MetadataData
 * @property {string} [DatasetName]
 * @property {Date | number | string} [CreationDate]
 * @property {Date | number | string} [LastModifiedDate]
 * @property {string} [LastModifiedBy]
 * @property {number} [DataStorage] bytes, as the server told last
 * @property {number} [NumRecords] as the server told last
 * @property {number} [LastSyncCount] up to which everything was pulled; -1: deleted here
 * @property {Date | number | string} [LastSyncDate]
 */

/** @param {Date | number | string | undefined} date */
const asDate = (date) => new Date(date ?? Date.now())

/** Setters give the metadata, so that they can be chained; none of them writes anything. */
export class CognitoSyncDatasetMetadata {
  /** @param {MetadataData} [data] */
  constructor({
    DatasetName = '', CreationDate, LastModifiedDate, LastModifiedBy = '', DataStorage = 0,
    NumRecords = 0, LastSyncCount = 0, LastSyncDate,
  } = {}) {
    if (DataStorage < 0) throw new RangeError('Storage size cannot be negative.')
    if (NumRecords < 0) throw new RangeError('Record count cannot be negative.')
    this.datasetName = DatasetName
    this.creationDate = asDate(CreationDate)
    this.lastModifiedDate = asDate(LastModifiedDate)
    this.lastModifiedBy = LastModifiedBy
    this.dataStorage = DataStorage
    this.recordCount = NumRecords
    this.lastSyncCount = LastSyncCount
    this.lastSyncDate = asDate(LastSyncDate)
  }

  getDatasetName() {
    return this.datasetName
  }

  /** @param {string} datasetName */
  setDatasetName(datasetName) {
    this.datasetName = datasetName
    return this
  }

  getCreationDate() {
    return this.creationDate
  }

  /** @param {Date | number | string} creationDate */
  setCreationDate(creationDate) {
    this.creationDate = new Date(creationDate)
    return this
  }

  getLastModifiedDate() {
    return this.lastModifiedDate
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

  getDataStorage() {
    return this.dataStorage
  }

  /** @param {number} storageSize bytes */
  setDataStorage(storageSize) {
    this.dataStorage = storageSize
    return this
  }

  getRecordCount() {
    return this.recordCount
  }

  /** @param {number} recordCount */
  setRecordCount(recordCount) {
    this.recordCount = recordCount
    return this
  }

  getLastSyncCount() {
    return this.lastSyncCount
  }

  /** @param {number} syncCount */
  setLastSyncCount(syncCount) {
    this.lastSyncCount = syncCount
    return this
  }

  getLastSyncDate() {
    return this.lastSyncDate
  }

  /** @param {Date} syncDate */
  setLastSyncDate(syncDate) {
    this.lastSyncDate = syncDate
    return this
  }

  toString() {
    return JSON.stringify(this)
  }

  toJSON() {
    return {
      DatasetName: this.datasetName,
      CreationDate: this.creationDate,
      LastModifiedDate: this.lastModifiedDate,
      LastModifiedBy: this.lastModifiedBy,
      DataStorage: this.dataStorage,
      NumRecords: this.recordCount,
      LastSyncCount: this.lastSyncCount,
      LastSyncDate: this.lastSyncDate,
    }
  }
}
