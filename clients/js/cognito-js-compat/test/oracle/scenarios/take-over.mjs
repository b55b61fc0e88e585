/** From the old library to ours, on one device and its `localStorage`. */
import { memory } from '@millpond/sync'

import { Storage } from '../telling.mjs'

/** A device that runs the old app, and has synchronized two records. */
async function oldDevice(w, words = {}) {
  const device = await w.device(words)
  const prefs = await device.open()
  await device.put(prefs, { a: '1', b: '2' })
  await device.sync(prefs)
  return { device, prefs }
}

/** The app is loaded again, in its new version. */
async function becomeOurs(w, device, user) {
  device.library = w.libraries.ours
  await device.start(user)
  return device.open()
}

const oldItems = (device) =>
  Object.keys(device.storage).filter((each) => !/^(millpond|aws\.)/.test(each)).sort()

export async function unsent(w) {
  const { device, prefs } = await oldDevice(w)
  await device.put(prefs, { a: '3', b: null, c: '4' })
  w.log('items before', oldItems(device))

  const ours = await becomeOurs(w, device)

  w.log('values', await device.values(ours))
  await w.call('isChanged', ours, 'isChanged', 'a')
  w.log('items after', oldItems(device))
  await w.call('listed', device.manager, 'listDatasets')
  device.proxy.take()
  w.log('calls', await device.synchronize(ours))
  w.log('asked', device.proxy.take())
  w.log('stored', await w.stored(device))
  await device.start()
  const again = await device.open()
  w.log('calls of the next start', await device.synchronize(again))
  w.log('values of the next start', await device.values(again))
}

export async function offline(w) {
  const { device, prefs } = await oldDevice(w)
  await device.put(prefs, { a: '3' })
  const ours = await becomeOurs(w, device)
  device.proxy.offline = true
  w.log('calls', await device.synchronize(ours).then((calls) => calls.at(-1).onFailure[0].code))
  w.log('values', await device.values(ours))
  device.proxy.offline = false
  w.log('online', await device.synchronize(ours))
  w.log('stored', await w.stored(device))
}

export async function conflict(w) {
  const { device, prefs } = await oldDevice(w)
  await device.put(prefs, { a: '3', b: null })
  await w.writeThere(device, { a: 'theirs', b: 'theirs' })
  const ours = await becomeOurs(w, device)
  w.log('calls', await device.synchronize(ours, {
    onConflict: (dataset, conflicts, callback) => dataset.resolve(
      conflicts.map((each) => each.resolveWithLocalRecord()), () => callback(true)),
  }))
  w.log('stored', await w.stored(device))
}

export async function newKeysOnBothSides(w) {
  const { device, prefs } = await oldDevice(w)
  await device.put(prefs, { c: 'mine' })
  await w.writeThere(device, { c: 'theirs' })
  const ours = await becomeOurs(w, device)
  w.log('calls', await device.synchronize(ours))
}

export async function removedElsewhere(w) {
  const { device, prefs } = await oldDevice(w)
  await w.writeThere(device, { a: null })
  await device.sync(prefs)
  w.log('old values', await device.values(prefs))
  const ours = await becomeOurs(w, device)
  w.log('values', await device.values(ours))
  w.log('calls', await device.synchronize(ours))
}

export async function missedUpdate(w) {
  const { device, prefs } = await oldDevice(w)
  await device.put(prefs, { a: '3' })
  device.proxy.plan('UpdateRecords', () => w.writeThere(device, { x: 'theirs' }))
  await device.sync(prefs)
  await device.sync(prefs)
  w.log('old values', await device.values(prefs))
  const ours = await becomeOurs(w, device)
  await device.sync(ours)
  w.log('values', await device.values(ours))
}

export async function deletion(w) {
  const { device } = await oldDevice(w)
  await w.ask(device.manager.local, 'deleteDataset', device.identityId, 'prefs')
  const ours = await becomeOurs(w, device)
  w.log('calls', await device.synchronize(ours))
  w.log('writes', device.writes())
  w.log('stored', await w.stored(device))
  w.log('items', oldItems(device))
}

export async function deletedElsewhere(w) {
  const { device, prefs } = await oldDevice(w)
  await device.put(prefs, { c: '3' })
  await w.deleteThere(device)
  const ours = await becomeOurs(w, device)
  w.log('calls', await device.synchronize(ours))
  w.log('stored', await w.stored(device))
}

/** A page with the old version is still open, and its user writes. */
export async function oldPageAfterwards(w) {
  const { device, prefs } = await oldDevice(w)
  const ours = await becomeOurs(w, device)
  await device.sync(ours)
  await device.put(ours, { b: 'ours' })
  await device.put(prefs, { a: 'of the old page' })
  w.log('items', oldItems(device))
  await device.start()
  const again = await device.open()
  w.log('values', await device.values(again))
  await device.sync(again)
  w.log('stored', await w.stored(device))
  w.log('items afterwards', oldItems(device))
}

export async function manyDatasets(w) {
  const { device } = await oldDevice(w)
  for (const name of ['notes', 'app.settings', 'empty']) {
    const dataset = await device.open(name)
    if (name !== 'empty') await device.put(dataset, { of: name })
  }
  await becomeOurs(w, device)
  const { got } = await w.ask(device.manager, 'listDatasets')
  w.log('listed', got[1].map((each) => each.getDatasetName()).sort())
  const notes = await device.open('notes')
  w.log('notes', await device.values(notes))
  await device.sync(notes)
  w.log('stored', await w.stored(device, 'notes'))
  w.log('settings', await device.values(await device.open('app.settings')))
}

/** What another user of this device has not sent stays until that one is back. */
export async function anotherUser(w) {
  const storage = new Storage()
  const user = await w.user()
  const { device, prefs } = await oldDevice(w, { storage, user })
  await device.put(prefs, { a: '3' })
  const somebody = await w.user()
  const other = await w.device({ storage, user: somebody })
  const theirs = await becomeOurs(w, other, somebody)
  w.log('values of the other', await other.values(theirs))
  await other.sync(theirs)
  const again = await becomeOurs(w, device, user)
  w.log('values', await device.values(again))
  await device.sync(again)
  w.log('stored', await w.stored(device))
}

/** A guest of the old app signs in, in the new one. */
export async function guestSignsIn(w) {
  const user = await w.userWith({ of: 'account' })
  const { device, prefs } = await oldDevice(w)
  await device.put(prefs, { unsent: 'guest' })

  await becomeOurs(w, device)
  await device.login(user)

  const ours = await device.open()
  w.log('values', await device.values(ours))
  w.log('calls', (await device.synchronize(ours, {
    onDatasetsMerged: (dataset, names, callback) => callback(true),
  })).map((each) => Object.keys(each)[0]))
  w.log('stored', await w.stored(device))
}

/** The same at once, before anything was asked of the manager. */
export async function guestSignsInAtOnce(w) {
  const user = await w.userWith({ of: 'account' })
  const { device, prefs } = await oldDevice(w)
  await device.put(prefs, { unsent: 'guest' })

  device.library = w.libraries.ours
  await device.start(undefined, { wait: false })
  await device.login(user)

  w.log('values', await device.values(await device.open()))
  w.log('items', oldItems(device))
}

/** The new version keeps its data in another storage. */
export async function anotherStorage(w) {
  const { device, prefs } = await oldDevice(w)
  await device.put(prefs, { a: '3' })
  const options = { storage: memory() }
  device.library = w.libraries.ours
  await device.start(undefined, { options })
  w.log('values', await device.values(await device.open()))
  w.log('items', oldItems(device))
  await device.start(undefined, { options })
  const again = await device.open()
  await device.sync(again)
  w.log('stored', await w.stored(device))
  w.log('items of ours', Object.keys(device.storage).filter((each) => each.startsWith('millpond')))
}

/** To wipe forgets what nobody took over, too. */
export async function wipe(w) {
  const { device } = await oldDevice(w)
  device.storage.setItem('of-the-app', 'kept')
  device.library = w.libraries.ours
  await device.start()
  await w.ask(device.manager, 'wipeData')
  w.log('items', Object.keys(device.storage))
}

/** Items of the app itself, and those that nobody can read, stay as they are. */
export async function otherItems(w) {
  const { device, prefs } = await oldDevice(w)
  await device.put(prefs, { a: '3' })
  const others = {
    'of the app': '{"a": 1}',
    [`${device.identityId}.a b`]: '{}',
    [`${device.identityId}.broken`]: '{"a": {"Key": "a"',
    [`${device.identityId}.list`]: '[1]',
    [`${device.identityId}.text`]: '"x"',
    'null.prefs': '{"a": {"Key": "a", "Value": "1", "Modified": true}}',
  }
  for (const [name, text] of Object.entries(others)) device.storage.setItem(name, text)
  device.storage.setItem(`${device.identityId}.odd`, JSON.stringify({
    good: { Key: 'good', Value: 'x', Modified: true }, number: { Key: 'number', Value: 5, Modified: true },
    nothing: null, text: 'x', object: { Key: 'object', Value: {}, SyncCount: 'x' },
    count: { Key: 'count', Value: 'y', SyncCount: 'x', Modified: true, DeviceLastModifiedDate: 7 },
  }))
  const ours = await becomeOurs(w, device)
  w.log('values', await device.values(ours))
  w.log('odd', await device.values(await device.open('odd')))
  w.log('are there', Object.keys(others).every((each) => device.storage.getItem(each) === others[each]))
  w.log('items', oldItems(device).length - Object.keys(others).length)
}

/** There is no room for both; nothing is lost, and it goes on once there is. */
export async function noRoom(w) {
  const { device, prefs } = await oldDevice(w)
  await device.put(prefs, { a: '3' })
  const before = oldItems(device)
  device.storage.full = true
  device.library = w.libraries.ours
  await device.start()
  const failed = await w.ask(device.manager, 'openOrCreateDataset', 'prefs')
  w.log('code', failed.got[0].code)
  w.log('items are there', oldItems(device).join() === before.join())
  device.storage.full = false
  const ours = await device.open()
  w.log('values', await device.values(ours))
  w.log('items', oldItems(device))
}
