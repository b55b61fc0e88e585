/** Datasets deleted elsewhere, merged ones, errors and the network. */

async function synced(w) {
  const device = await w.device()
  const prefs = await device.open()
  await device.put(prefs, { a: '1', b: '2' })
  await device.sync(prefs)
  device.proxy.take()
  return { device, prefs }
}

const yes = (dataset, what, callback) => callback(true)
const no = (dataset, what, callback) => callback(false)

async function finish(w, { device, prefs }, handlers) {
  w.log('calls', await device.synchronize(prefs, handlers))
  w.log('writes', device.writes())
  w.log('values', await device.values(prefs))
  w.log('stored', await w.stored(device))
}

export async function deletedElsewhere(w) {
  const at = await synced(w)
  await w.deleteThere(at.device)
  await finish(w, at)
}

export async function deletedElsewhereNo(w) {
  const at = await synced(w)
  await w.deleteThere(at.device)
  await finish(w, at, { onDatasetDeleted: no })
}

export async function deletedElsewhereYes(w) {
  const at = await synced(w)
  await w.deleteThere(at.device)
  await finish(w, at, { onDatasetDeleted: yes })
}

export async function deletedElsewhereWithUnsent(w) {
  const at = await synced(w)
  await w.deleteThere(at.device)
  await at.device.put(at.prefs, { c: '3' })
  await finish(w, at, { onDatasetDeleted: yes })
}

export async function deletedAndMadeAnew(w) {
  const at = await synced(w)
  await w.deleteThere(at.device)
  await w.writeThere(at.device, { z: '9' })
  await finish(w, at, { onDatasetDeleted: yes })
}

/** As apps delete a dataset: the library has no method for it. */
export async function deletedHere(w) {
  const { device, prefs } = await synced(w)
  await w.call('delete', device.manager.local, 'deleteDataset', device.identityId, 'prefs')
  await finish(w, { device, prefs })
  await w.call('listed', device.manager, 'listDatasets')
  const again = await device.open()
  await device.put(again, { c: '3' })
  w.log('opened again', await device.synchronize(again))
  w.log('stored again', await w.stored(device))
}

export async function deletedHereNeverThere(w) {
  const device = await w.device()
  const prefs = await device.open()
  await device.put(prefs, { a: '1' })
  await w.call('delete', device.manager.local, 'deleteDataset', device.identityId, 'prefs')
  await finish(w, { device, prefs })
}

/** A call is refused for as long as it is made. */
async function refused(w, operation, status, code, message) {
  const at = await synced(w)
  await at.device.put(at.prefs, { a: '3' })
  for (let time = 0; time < 9; time += 1) {
    at.device.proxy.plan(operation, 'refuse', { status, code, message })
  }
  await finish(w, at)
}

export const refusedList = (w) =>
  refused(w, 'ListRecords', 400, 'InvalidParameterException', 'Nothing of the kind.')

export const notAuthorizedList = (w) =>
  refused(w, 'ListRecords', 403, 'NotAuthorizedException', 'Not yours.')

export const notAuthorizedPush = (w) =>
  refused(w, 'UpdateRecords', 403, 'NotAuthorizedException', 'Not yours.')

export async function tooLarge(w) {
  const at = await synced(w)
  await at.device.put(at.prefs, { large: 'x'.repeat(1048577), c: '3' })
  w.log('calls', await at.device.synchronize(at.prefs))
  w.log('stored', await w.stored(at.device))
}

/** What was refused goes out once it is written again, the same or not. */
export async function refusedOnce(w) {
  const at = await synced(w)
  await at.device.put(at.prefs, { c: '3' })
  for (let time = 0; time < 4; time += 1) {
    at.device.proxy.plan('UpdateRecords', 'refuse', {
      status: 400, code: 'LimitExceededException', message: 'There are too many.',
    })
  }
  const calls = await at.device.synchronize(at.prefs)
  w.log('fails', 'onFailure' in calls.at(-1))
  at.device.proxy.plans.length = 0
  await at.device.put(at.prefs, { c: '3' })
  w.log('again', await at.device.synchronize(at.prefs))
  w.log('stored', await w.stored(at.device))
}

export async function offline(w) {
  const { device, prefs } = await synced(w)
  await device.put(prefs, { a: '3' })
  device.proxy.offline = true
  w.log('calls', await device.synchronize(prefs))
  w.log('values', await device.values(prefs))
  device.proxy.offline = false
  w.log('online', await device.synchronize(prefs))
  w.log('writes', device.writes())
  w.log('stored', await w.stored(device))
}

export async function answerLost(w) {
  const at = await synced(w)
  await at.device.put(at.prefs, { a: '3' })
  at.device.proxy.plan('UpdateRecords', 'lose')
  await finish(w, at)
}

export async function answerLostThenChanged(w) {
  const { device, prefs } = await synced(w)
  await device.put(prefs, { a: '3' })
  for (let time = 0; time < 4; time += 1) device.proxy.plan('UpdateRecords', 'lose')
  for (let time = 0; time < 20; time += 1) device.proxy.plan('ListRecords', 'unreached')
  const calls = await device.synchronize(prefs, { onConflict: no })
  w.log('calls', calls.map((each) => Object.keys(each)[0]))
  device.proxy.plans.length = 0
  await device.put(prefs, { a: '4' })
  w.log('again', await device.synchronize(prefs, { onConflict: no }))
  w.log('stored', await w.stored(device))
}

export async function credentialsRefused(w) {
  const { device, prefs } = await synced(w)
  device.provider.expired = true
  device.proxy.plan('GetCredentialsForIdentity', 'refuse', {
    status: 400, code: 'ResourceConflictException', message: 'Not now.',
  })
  const calls = await device.synchronize(prefs)
  w.log('fails', 'onFailure' in calls.at(-1))
  w.log('code', calls.at(-1).onFailure[0].code)
  w.log('again', await device.synchronize(prefs))
}

/** A listing and an update fail once each, for a reason that passes. */
async function passing(w, error) {
  const at = await synced(w)
  await at.device.put(at.prefs, { a: '3' })
  for (const each of ['ListRecords', 'UpdateRecords']) at.device.proxy.plan(each, 'refuse', error)
  await finish(w, at)
}

export const throttled = (w) =>
  passing(w, { status: 429, code: 'TooManyRequestsException', message: 'Too many.' })

export const serverError = (w) =>
  passing(w, { status: 500, code: 'InternalErrorException', message: 'Oh.' })
