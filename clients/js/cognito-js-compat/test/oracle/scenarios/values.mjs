/** What an app writes and reads on one device, without the server. */

const LONGEST = 'k'.repeat(128)

export async function putAndGet(w) {
  const device = await w.device()
  const prefs = await device.open()
  await w.call('put', prefs, 'put', 'colour', 'teal')
  await w.call('get', prefs, 'get', 'colour')
  await w.call('put the same again', prefs, 'put', 'colour', 'teal')
  await w.call('put another', prefs, 'put', 'colour', 'red')
  await w.call('get another', prefs, 'get', 'colour')
}

export async function missingAndRemoved(w) {
  const device = await w.device()
  const prefs = await device.open()
  await w.call('get of a key that never was', prefs, 'get', 'never')
  await w.call('isChanged of it', prefs, 'isChanged', 'never')
  await device.put(prefs, { colour: 'teal' })
  await w.call('remove', prefs, 'remove', 'colour')
  await w.call('get after remove', prefs, 'get', 'colour')
  await w.call('getAll after remove', prefs, 'getAll')
  await w.call('getAllRecords after remove', prefs, 'getAllRecords')
  await w.call('remove again', prefs, 'remove', 'colour')
  await w.call('remove of a key that never was', prefs, 'remove', 'never')
  await w.call('put after remove', prefs, 'put', 'colour', 'red')
  await w.call('get after put', prefs, 'get', 'colour')
}

export async function emptyString(w) {
  const device = await w.device()
  const prefs = await device.open()
  await w.call('put an empty string', prefs, 'put', 'note', '')
  await w.call('get it', prefs, 'get', 'note')
  await w.call('getAll with it', prefs, 'getAll')
  w.log('synchronize', await device.synchronize(prefs))
  w.log('writes', device.writes())
  w.log('stored', await w.stored(device))
}

export async function emptyStringAfterRemove(w) {
  const device = await w.device()
  const prefs = await device.open()
  await device.put(prefs, { note: 'x' })
  await device.sync(prefs)
  await device.put(prefs, { note: null })
  await device.put(prefs, { note: '' })
  await device.sync(prefs)
  w.log('stored', await w.stored(device))
}

export async function notStrings(w) {
  const device = await w.device()
  const prefs = await device.open()
  for (const [label, value] of Object.entries({
    number: 7, zero: 0, true: true, null: null, object: { a: 1 }, array: [1],
    date: new Date(0), undefined,
  })) {
    await w.call(`put ${label}`, prefs, 'put', 'colour', value)
  }
  await w.call('getAll', prefs, 'getAll')
}

export async function keys(w) {
  const device = await w.device()
  const prefs = await device.open()
  for (const [label, key] of Object.entries({
    longest: LONGEST, 'one longer': `${LONGEST}k`, empty: '', space: 'a b', slash: 'a/b',
    umlaut: 'ä', 'of all kinds': 'aZ09_.:-', number: 7, newline: 'a\n',
    proto: '__proto__', constructor: 'constructor',
  })) {
    await w.call(`put ${label}`, prefs, 'put', key, 'x')
    await w.call(`get ${label}`, prefs, 'get', key)
    await w.call(`remove ${label}`, prefs, 'remove', key)
    await w.call(`isChanged ${label}`, prefs, 'isChanged', key)
  }
}

export async function putAll(w) {
  const device = await w.device()
  const prefs = await device.open()
  await w.call('putAll', prefs, 'putAll', { a: '1', b: '2' })
  await w.call('getAll', prefs, 'getAll')
  await w.call('putAll of nothing', prefs, 'putAll', {})
  await w.call('putAll with a bad key', prefs, 'putAll', { c: '3', 'd e': '4' })
  await w.call('getAll after the bad key', prefs, 'getAll')
  await w.call('putAll with a number', prefs, 'putAll', { e: '5', f: 6 })
  await w.call('get beside the number', prefs, 'get', 'e')
  await w.call('get of the number', prefs, 'get', 'f')
  await w.call('putAll with null', prefs, 'putAll', { a: null })
  await w.call('get of the null', prefs, 'get', 'a')
}

export async function putAllThousand(w) {
  const device = await w.device()
  const prefs = await device.open()
  const many = Object.fromEntries([...Array(1000).keys()].map((each) => [`k${each}`, 'v']))
  const done = await w.ask(prefs, 'putAll', many)
  w.log('put', done.thrown ? { thrown: done.thrown } : done.got)
  await device.sync(prefs)
  w.log('stored', Object.keys(await w.stored(device)).length)
}

export async function allRecords(w) {
  const device = await w.device()
  const prefs = await device.open()
  await w.call('of a new dataset', prefs, 'getAllRecords')
  await w.call('getAll of a new dataset', prefs, 'getAll')
  await device.put(prefs, { a: '1', b: '2' })
  await w.call('with two', prefs, 'getAllRecords')
  await w.call('modified', prefs, 'getModifiedRecords')
  await device.sync(prefs)
  await w.call('synchronized', prefs, 'getAllRecords')
  await w.call('modified after it', prefs, 'getModifiedRecords')
  await w.call('isChanged after it', prefs, 'isChanged', 'a')
  await device.put(prefs, { a: '3' })
  await w.call('isChanged after a put', prefs, 'isChanged', 'a')
  await w.call('isChanged of the other', prefs, 'isChanged', 'b')
}

export async function recordObjects(w) {
  const { Record, Conflict } = w.names
  const made = new Record({ Key: 'a', Value: 'x', SyncCount: 3, Modified: true })
  w.log('record', made)
  w.log('empty record', new Record())
  w.log('setters chain', made.setKey('b').setValue('y').setSyncCount(4).setModified(false))
  w.log('setters of times chain', made.setLastModifiedDate(5).setDeviceLastModifiedDate(6))
  w.log('times', [made.getLastModifiedDate().getTime(), made.getDeviceLastModifiedDate().getTime()])
  w.log('by', [made.getLastModifiedBy(), made.setLastModifiedBy('me').getLastModifiedBy()])
  w.log('JSON', Object.keys(made.toJSON()))
  w.log('string', typeof made.toString())
  w.log('null value', new Record({ Key: 'a' }).setValue(null).isDeleted())
  const theirs = () => new Record({ Key: 'a', Value: 'theirs', SyncCount: 9, Modified: true })
  const mine = () => new Record({ Key: 'a', Value: 'mine', SyncCount: 2, Modified: true })
  w.log('conflict', new Conflict(theirs(), mine()))
  w.log('with remote', new Conflict(theirs(), mine()).resolveWithRemoteRecord())
  w.log('with local', new Conflict(theirs(), mine()).resolveWithLocalRecord())
  w.log('with value', new Conflict(theirs(), mine()).resolveWithValue('both'))
  for (const [label, words] of Object.entries({
    nothing: [], 'no records': [{}, {}], 'two keys': [theirs(), mine().setKey('b')],
  })) {
    let message = 'none'
    try { new Conflict(...words) } catch (error) { message = error.message }
    w.log(`conflict of ${label}`, message)
  }
}

export async function insideOrAfter(w) {
  const device = await w.device()
  const opened = await w.ask(device.manager, 'openOrCreateDataset', 'prefs')
  w.log('openOrCreateDataset', opened.inside)
  const prefs = opened.got[1]
  for (const [method, ...words] of [
    ['put', 'a', '1'], ['get', 'a'], ['getAll'], ['getAllRecords'], ['isChanged', 'a'],
    ['remove', 'a'], ['putAll', { b: '2' }], ['getDatasetMetadata'], ['put', 'a b', ''],
  ]) {
    w.log([method, ...words].join(' '), (await w.ask(prefs, method, ...words)).inside)
  }
  w.log('listDatasets', (await w.ask(device.manager, 'listDatasets')).inside)
}

export async function order(w) {
  const device = await w.device()
  const prefs = await device.open()
  const seen = []
  const note = (label) => (error, value) => seen.push([label, error, typeof value === 'string' ? value : null])
  prefs.put('a', '1', note('put'))
  prefs.get('a', note('get'))
  prefs.put('a', '2', note('put again'))
  prefs.remove('a', note('remove'))
  prefs.put('a', '3', note('put once more'))
  await new Promise((resolve) => prefs.get('a', (...got) => { note('last')(...got); resolve() }))
  w.log('seen', seen)
}

export async function withoutCallback(w) {
  const device = await w.device()
  const prefs = await device.open()
  for (const [method, ...words] of [['put', 'a', '1'], ['remove', 'b'], ['putAll', { c: '3' }]]) {
    let thrown = 'nothing'
    try { prefs[method](...words) } catch (error) { thrown = error.constructor.name }
    w.log(`${method} throws`, thrown)
  }
  w.log('values', await device.values(prefs))
}
