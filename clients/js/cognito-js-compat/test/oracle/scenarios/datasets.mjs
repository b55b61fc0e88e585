/** Datasets of a manager. */

export async function names(w) {
  const device = await w.device()
  for (const [label, name] of Object.entries({
    usual: 'prefs', 'of all kinds': 'aZ09_.:-', longest: 'n'.repeat(128),
    'one longer': 'n'.repeat(129), empty: '', space: 'a b', slash: 'a/b', number: 7,
  })) {
    await w.call(label, device.manager, 'openOrCreateDataset', name)
  }
}

export async function listing(w) {
  const device = await w.device()
  const sorted = (done) => done.got[1].map((each) => w.tell(each)).sort()
  w.log('nothing', sorted(await w.ask(device.manager, 'listDatasets')))
  const prefs = await device.open()
  await device.open('notes')
  w.log('two', sorted(await w.ask(device.manager, 'listDatasets')))
  await device.put(prefs, { a: '1', b: '22' })
  await w.call('metadata before', prefs, 'getDatasetMetadata')
  await w.call('storage before', prefs, 'getDataStorage')
  await device.sync(prefs)
  await w.call('metadata after', prefs, 'getDatasetMetadata')
  await w.call('storage after', prefs, 'getDataStorage')
  w.log('refreshed', sorted(await w.ask(device.manager, 'refreshDatasetMetadata')))
  await w.call('metadata refreshed', prefs, 'getDatasetMetadata')
  await w.call('storage refreshed', prefs, 'getDataStorage')
  device.proxy.take()
  await device.sync(prefs)
  w.log('asks after it', device.proxy.take())
  w.log('values', await device.values(prefs))
}

export async function metadataObjects(w) {
  const { DatasetMetadata } = w.names
  const made = new DatasetMetadata({
    DatasetName: 'prefs', CreationDate: 1000, LastModifiedDate: 2000, LastModifiedBy: 'me',
    DataStorage: 5, NumRecords: 2, LastSyncCount: 3, LastSyncDate: 4000,
  })
  w.log('metadata', made)
  w.log('dates', [made.getCreationDate(), made.getLastModifiedDate(), made.getLastSyncDate()]
    .map((each) => each.getTime()))
  w.log('by', made.getLastModifiedBy())
  w.log('JSON', Object.keys(made.toJSON()))
  w.log('setters chain', made.setDatasetName('x').setDataStorage(1).setRecordCount(1)
    .setLastSyncCount(9).setLastModifiedBy('you').setCreationDate(1).setLastModifiedDate(1))
  for (const bad of [{ DataStorage: -1 }, { NumRecords: -1 }]) {
    let kind = 'none'
    try { new DatasetMetadata(bad) } catch (error) { kind = `${error.constructor.name}: ${error.message}` }
    w.log(Object.keys(bad)[0], kind)
  }
}

export async function refreshFinds(w) {
  const device = await w.device()
  await w.call('nothing there', device.manager, 'refreshDatasetMetadata')
  await w.writeThere(device, { a: '1' }, 'made-elsewhere')
  await w.call('one there', device.manager, 'refreshDatasetMetadata')
  await w.call('listed', device.manager, 'listDatasets')
  const opened = await device.open('made-elsewhere')
  await device.sync(opened)
  w.log('values', await device.values(opened))
}

export async function manyDatasets(w) {
  const device = await w.device()
  for (let number = 0; number < 12; number += 1) {
    const dataset = await device.open(`set-${number}`)
    await device.put(dataset, { number: String(number) })
    await device.sync(dataset)
  }
  const found = []
  for (let number = 0; number < 12; number += 1) {
    found.push((await device.values(await device.open(`set-${number}`))).number)
  }
  w.log('values', found)
  const { got } = await w.ask(device.manager, 'refreshDatasetMetadata')
  w.log('there', got[1].length)
}

export async function startedAnew(w) {
  const device = await w.device()
  const prefs = await device.open()
  await device.put(prefs, { a: '1', b: '2' })
  await device.sync(prefs)
  await device.put(prefs, { a: '3', b: null, c: '4' })
  await device.start()
  const again = await device.open()
  await w.call('a', again, 'get', 'a')
  await w.call('isChanged', again, 'isChanged', 'a')
  await w.call('metadata', again, 'getDatasetMetadata')
  await device.sync(again)
  w.log('writes', device.writes())
  w.log('stored', await w.stored(device))
}

export async function sameDatasetTwice(w) {
  const device = await w.device()
  const one = await device.open()
  const other = await device.open()
  await device.put(one, { a: '1' })
  await w.call('seen by the other', other, 'get', 'a')
  w.log('are one object', one === other)
}

export async function wipe(w) {
  const device = await w.device()
  const prefs = await device.open()
  await device.put(prefs, { a: '1' })
  device.storage.setItem('of-the-app', 'kept?')
  device.storage.setItem('aws.cognito.identity-id.another-pool', 'kept')
  const before = device.identityId
  let thrown = 'nothing'
  try { device.manager.wipeData() } catch (error) { thrown = error.constructor.name }
  w.log('throws', thrown)
  w.log('identity', device.identityId)
  w.log("the app's own item", device.storage.getItem('of-the-app'))
  w.log('another identity', device.storage.getItem('aws.cognito.identity-id.another-pool'))
  device.provider.expired = true
  await device.provider.getPromise()
  w.log('is somebody else', device.identityId !== before)
  const fresh = await device.open()
  await w.call('get', fresh, 'get', 'a')
}

/** The user signs out while a synchronization is under way. */
export async function wipedMeanwhile(w) {
  const device = await w.device()
  const prefs = await device.open()
  await device.put(prefs, { a: '1' })
  await device.sync(prefs)
  await w.writeThere(device, { secret: 'x' })
  const [identityId, items] = [device.identityId, () => JSON.stringify({ ...device.storage })]
  device.proxy.plan('ListRecords', () => device.manager.wipeData())
  await device.synchronize(prefs)
  w.log('is gone', !items().includes('secret') && !items().includes(identityId))
}
