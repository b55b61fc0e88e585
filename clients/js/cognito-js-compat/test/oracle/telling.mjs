/** Values of either library in words, so that they can be compared. */

const IDENTITY = /[a-z]{2}-[a-z]+-\d:[0-9a-f-]{36}/g

export class Teller {
  #names = new Map()

  /** Put a value into plain JSON; identity ids become `identity 1` and so on. */
  tell(value) {
    if (value === undefined) return '<undefined>'
    if (typeof value === 'function') return '<function>'
    if (typeof value === 'string') return this.#withoutIds(value)
    if (value === null || typeof value !== 'object') return value
    if (value instanceof Error) return this.#error(value)
    if (value instanceof Date) return '<date>'
    if (Array.isArray(value)) return value.map((each) => this.tell(each))
    if (value.getRemoteRecord) {
      return `here ${this.tell(value.getLocalRecord())}; there ${this.tell(value.getRemoteRecord())}`
    }
    if (value.getSyncCount && value.getKey) return tellRecord(value)
    if (value.synchronize) return '<dataset>'
    if (value.getDatasetName) {
      const [synced, bytes] = [value.getLastSyncCount(), value.getDataStorage()]
      const records = value.getRecordCount()
      return this.tell(`dataset ${value.getDatasetName()} @${synced}, ${bytes} bytes, ${records} records`)
    }
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [this.#withoutIds(key), this.tell(each)]))
  }

  #error(error) {
    const code = error.code === undefined ? {} : { code: error.code }
    return { error: this.#withoutIds(error.message), ...code }
  }

  #withoutIds(text) {
    return text.replace(IDENTITY, (id) => {
      if (!this.#names.has(id)) this.#names.set(id, `identity ${this.#names.size + 1}`)
      return this.#names.get(id)
    })
  }
}

/** @param record of either library */
function tellRecord(record) {
  const value = JSON.stringify(record.getValue())
  const key = typeof record.getKey() === 'string' ? record.getKey() : `(${record.getKey()})`
  const flags = `${record.isModified() ? ', modified' : ''}${record.isDeleted() ? ', deleted' : ''}`
  return `${key} ${value} @${record.getSyncCount()}${flags}`
}

/** The part of `localStorage` that both libraries use; items are properties, as in browsers. */
export class Storage {
  #full = false

  /** Whether there is no room for anything more. */
  set full(full) {
    this.#full = full
  }

  getItem(key) {
    return Object.hasOwn(this, key) ? this[key] : null
  }

  setItem(key, value) {
    if (this.#full) throw new DOMException('There is no room.', 'QuotaExceededError')
    this[key] = String(value)
  }

  removeItem(key) {
    delete this[key]
  }

  clear() {
    for (const key of Object.keys(this)) delete this[key]
  }

  key(index) {
    return Object.keys(this)[index] ?? null
  }

  get length() {
    return Object.keys(this).length
  }
}
