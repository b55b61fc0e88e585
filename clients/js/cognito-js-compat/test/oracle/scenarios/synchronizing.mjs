/** Synchronizing where nothing goes wrong. */

export async function firstPush(w) {
  const device = await w.device()
  const prefs = await device.open()
  await device.put(prefs, { colour: 'blue', size: '7' })
  w.log('calls', await device.synchronize(prefs))
  w.log('asked', device.proxy.take())
  w.log('stored', await w.stored(device))
  await w.call('records', prefs, 'getAllRecords')
  w.log('again', await device.synchronize(prefs))
  w.log('asked again', device.proxy.take())
}

export async function pull(w) {
  const [one, other] = await w.pair()
  const first = await one.open()
  await one.put(first, { colour: 'blue', size: '7' })
  await one.sync(first)
  const second = await other.open()
  w.log('calls', await other.synchronize(second))
  w.log('asked', other.proxy.take())
  w.log('values', await other.values(second))
  await w.call('records', second, 'getAllRecords')
  await w.call('metadata', second, 'getDatasetMetadata')
}

export async function pullAndPush(w) {
  const [one, other] = await w.pair()
  const first = await one.open()
  const second = await other.open()
  await one.put(first, { a: '1', b: '1' })
  await one.sync(first)
  await other.sync(second)
  await one.put(first, { a: '2' })
  await other.put(second, { b: '2' })
  await one.sync(first)
  other.proxy.take()
  w.log('calls', await other.synchronize(second))
  w.log('writes', other.writes())
  await one.sync(first)
  w.log('one', await one.values(first))
  w.log('other', await other.values(second))
}

export async function removal(w) {
  const [one, other] = await w.pair()
  const first = await one.open()
  const second = await other.open()
  await one.put(first, { a: '1', b: '1' })
  await one.sync(first)
  await other.sync(second)
  await one.put(first, { a: null })
  await one.sync(first)
  w.log('stored', await w.stored(one))
  w.log('calls', await other.synchronize(second))
  await w.call('get', second, 'get', 'a')
  await w.call('getAll', second, 'getAll')
  await w.call('records', second, 'getAllRecords')
  await w.call('records where it was removed', first, 'getAllRecords')
  await other.put(second, { a: '3' })
  await other.sync(second)
  w.log('stored after a put', await w.stored(one))
}

export async function removeWhatNeverWas(w) {
  const device = await w.device()
  const prefs = await device.open()
  await device.put(prefs, { a: '1', never: null })
  w.log('calls', await device.synchronize(prefs))
  w.log('writes', device.writes())
  w.log('values', await device.values(prefs))
}

export async function nothingThere(w) {
  const device = await w.device()
  const prefs = await device.open()
  w.log('calls', await device.synchronize(prefs))
  w.log('writes', device.writes())
}

export async function rawForms(w) {
  const device = await w.device()
  const prefs = await device.open()
  await device.put(prefs, { a: '1', b: '2' })
  await device.sync(prefs)
  await device.put(prefs, { a: null, b: '3' })
  device.proxy.raw.length = 0
  await device.sync(prefs)
  const [list, update] = device.proxy.raw
  w.log('list', new URL(list.url, 'http://x').search)
  const { RecordPatches, ...others } = JSON.parse(update.body)
  w.log('update', Object.keys(others))
  for (const patch of RecordPatches) {
    w.log(`patch ${patch.Op}`, Object.entries(patch)
      .map(([name, value]) => (name === 'DeviceLastModifiedDate' ? `${name}: ${typeof value}` : `${name}: ${value}`))
      .sort())
  }
}

export async function putMeanwhile(w) {
  const device = await w.device()
  const prefs = await device.open()
  await device.put(prefs, { a: '1' })
  device.proxy.plan('UpdateRecords', () => device.put(prefs, { a: '2', b: '2' }))
  w.log('calls', await device.synchronize(prefs))
  w.log('values', await device.values(prefs))
  w.log('calls again', await device.synchronize(prefs))
  w.log('stored', await w.stored(device))
}

export async function anotherWritesMeanwhile(w) {
  const device = await w.device()
  const prefs = await device.open()
  await device.put(prefs, { a: '1' })
  await device.sync(prefs)
  await device.put(prefs, { a: '2' })
  device.proxy.plan('UpdateRecords', () => w.writeThere(device, { b: 'theirs' }))
  w.log('calls', await device.synchronize(prefs))
  w.log('values', await device.values(prefs))
  w.log('calls again', await device.synchronize(prefs))
  w.log('values after it', await device.values(prefs))
}

export async function pulledLater(w) {
  const device = await w.device()
  const prefs = await device.open()
  await device.put(prefs, { a: '1' })
  await device.sync(prefs)
  await w.writeThere(device, { x: '1' })
  w.log('calls', await device.synchronize(prefs))
}

export async function twoAtOnce(w) {
  const device = await w.device()
  const prefs = await device.open()
  await device.put(prefs, { a: '1' })
  const [one, other] = await Promise.all([device.synchronize(prefs), device.synchronize(prefs)])
  w.log('one', one)
  w.log('other', other)
  w.log('stored', await w.stored(device))
}

export async function withoutCallbacks(w) {
  const device = await w.device()
  const prefs = await device.open()
  await device.put(prefs, { a: '1' })
  let thrown = 'nothing'
  const arrived = new Promise((resolve) => device.proxy.plan('UpdateRecords', async () => resolve()))
  try { prefs.synchronize() } catch (error) { thrown = error.constructor.name }
  w.log('throws', thrown)
  await arrived
  w.log('writes', device.writes())
}

/** Callbacks are methods of an object of the app, which they reach as `this`. */
export async function methods(w) {
  const [one, other] = await w.pair()
  const first = await one.open()
  const second = await other.open()
  await one.put(first, { a: '1' })
  await other.put(second, { a: '2' })
  await one.sync(first)
  class Screen {
    seen = []

    constructor(ended) {
      this.ended = ended
    }

    onConflict(dataset, conflicts, callback) {
      this.seen.push('onConflict')
      callback(false)
    }

    onFailure() {
      this.ended([...this.seen, 'onFailure'])
    }
  }
  w.log('seen', await new Promise((ended) => second.synchronize(new Screen(ended))))
  w.log('null', await new Promise((resolve) => {
    other.proxy.plan('ListRecords', async () => resolve('is no callbacks'))
    second.synchronize(null)
  }))
}

export async function lastSyncCounts(w) {
  const device = await w.device()
  const prefs = await device.open()
  const count = async () => (await w.ask(prefs, 'getDatasetMetadata')).got[1].getLastSyncCount()
  const found = [await count()]
  for (const value of ['1', '2', '3']) {
    await device.put(prefs, { a: value })
    await device.sync(prefs)
    found.push(await count())
  }
  w.log('counts', found)
}

export async function dottedName(w) {
  const device = await w.device()
  const app = await device.open('app')
  const settings = await device.open('app.settings')
  await device.put(app, { a: '1' })
  await device.put(settings, { b: '2' })
  w.log('the longer one', await device.synchronize(settings))
  w.log('the shorter one', await device.synchronize(app, {
    onDatasetsMerged: (dataset, merged, callback) => callback(true),
  }))
  w.log('stored', await w.stored(device, 'app'))
}
