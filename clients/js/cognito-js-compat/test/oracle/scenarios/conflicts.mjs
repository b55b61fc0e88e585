/** Two devices change one record. */

/** Two devices with different values of a key; the first one has pushed its. */
async function atOdds(w, { mine = { colour: 'blue' }, theirs = { colour: 'green' } } = {}) {
  const [one, other] = await w.pair()
  const first = await one.open()
  const second = await other.open()
  await one.put(first, { colour: 'red', size: '7' })
  await one.sync(first)
  await other.sync(second)
  await one.put(first, theirs)
  await one.sync(first)
  await other.put(second, mine)
  other.proxy.take()
  return { one, other, first, second }
}

/** Synchronize the second device with a handler, and tell all that came of it. */
async function settle(w, at, onConflict) {
  w.log('calls', await at.other.synchronize(at.second, onConflict && { onConflict }))
  w.log('writes', at.other.writes())
  w.log('values', await at.other.values(at.second))
  w.log('stored', await w.stored(at.other))
  if (onConflict === undefined) return
  w.log('again', await at.other.synchronize(at.second, { onConflict }))
  await at.one.sync(at.first)
  w.log('values of the other', await at.one.values(at.first))
}

const resolving = (how) => (dataset, conflicts, callback) =>
  dataset.resolve(conflicts.map(how), () => callback(true))

export const nobodyAnswers = async (w) => settle(w, await atOdds(w))

export const cancelled = async (w) =>
  settle(w, await atOdds(w), (dataset, conflicts, callback) => callback(false))
    .catch((error) => w.log('first device', error.message.includes('onFailure')))

export const withRemote = async (w) =>
  settle(w, await atOdds(w), resolving((each) => each.resolveWithRemoteRecord()))

export const withLocal = async (w) =>
  settle(w, await atOdds(w), resolving((each) => each.resolveWithLocalRecord()))

export const withValue = async (w) => settle(w, await atOdds(w), resolving((each) =>
  each.resolveWithValue(`${each.getLocalRecord().getValue()}+${each.getRemoteRecord().getValue()}`)))

export const unresolved = async (w) =>
  settle(w, await atOdds(w), (dataset, conflicts, callback) => callback(true))

export const answeredLater = async (w) =>
  settle(w, await atOdds(w), (dataset, conflicts, callback) => setImmediate(() =>
    dataset.resolve([conflicts[0].resolveWithLocalRecord()], () => callback(true))))

export const onePutAnswers = async (w) =>
  settle(w, await atOdds(w), (dataset, conflicts, callback) =>
    dataset.put('colour', conflicts[0].getRemoteRecord().getValue(), () => callback(true)))

export const resolvedAllButOne = async (w) => settle(
  w, await atOdds(w, { mine: { colour: 'blue', size: '8' }, theirs: { colour: 'green', size: '9' } }),
  (dataset, conflicts, callback) =>
    dataset.resolve([conflicts[0].resolveWithLocalRecord()], () => callback(true)))

export const twoConflicts = async (w) => settle(
  w, await atOdds(w, { mine: { colour: 'blue', size: '8' }, theirs: { colour: 'green', size: '9' } }),
  resolving((each, index) =>
    (index ? each.resolveWithLocalRecord() : each.resolveWithRemoteRecord())))

export const conflictBesideOthers = async (w) => settle(
  w, await atOdds(w, { mine: { colour: 'blue', mine: '1' }, theirs: { colour: 'green', theirs: '1' } }),
  resolving((each) => each.resolveWithLocalRecord()))

export const bothTheSame = async (w) =>
  settle(w, await atOdds(w, { mine: { colour: 'green' } }), () => {})

export const iRemoved = async (w) => settle(
  w, await atOdds(w, { mine: { colour: null } }), resolving((each) => each.resolveWithLocalRecord()))

export const theyRemoved = async (w) => settle(
  w, await atOdds(w, { theirs: { colour: null } }), resolving((each) => each.resolveWithLocalRecord()))

export const theyRemovedAndWin = async (w) => settle(
  w, await atOdds(w, { theirs: { colour: null } }), resolving((each) => each.resolveWithRemoteRecord()))

export const bothRemoved = async (w) => settle(
  w, await atOdds(w, { mine: { colour: null }, theirs: { colour: null } }), () => {})

/** The other one wrote the value that was there before. */
export async function theyWroteTheSame(w) {
  const at = await atOdds(w, { theirs: {}, mine: { colour: 'blue' } })
  await w.writeThere(at.other, { colour: 'red' })
  await settle(w, at, resolving((each) => each.resolveWithLocalRecord()))
}

/** This one went back to the value that was there before. */
export async function iWentBack(w) {
  const at = await atOdds(w)
  await at.other.put(at.second, { colour: 'red' })
  await settle(w, at, resolving((each) => each.resolveWithRemoteRecord()))
}

/** The app synchronizes once more before it answers. */
export async function synchronizedInside(w) {
  const at = await atOdds(w)
  let isInside = false
  await settle(w, at, (dataset, conflicts, callback) => {
    if (isInside) return callback(false)
    isInside = true
    dataset.resolve(conflicts.map((each) => each.resolveWithLocalRecord()), () =>
      dataset.synchronize({ onSuccess: () => callback(true), onFailure: () => callback(false) }))
  })
}

/** Somebody writes while the resolution is on its way. */
export async function conflictOnConflict(w) {
  const at = await atOdds(w)
  at.other.proxy.plan('UpdateRecords', () => w.writeThere(at.other, { colour: 'yellow' }))
  await settle(w, at, resolving((each) => each.resolveWithLocalRecord()))
}

/** The server says that the count is old, once: another write came in between. */
export async function staleCount(w) {
  const at = await atOdds(w, { theirs: {}, mine: { size: '8' } })
  at.other.proxy.plan('UpdateRecords', () => w.writeThere(at.other, { size: '9' }))
  await settle(w, at, resolving((each) => each.resolveWithLocalRecord()))
}

export async function resolveOutside(w) {
  const device = await w.device()
  const prefs = await device.open()
  await device.put(prefs, { a: '1' })
  const { Record } = w.names
  await w.call('nothing', prefs, 'resolve', [])
  await w.call('a record', prefs, 'resolve', [
    new Record({ Key: 'b', Value: '2', SyncCount: 0, Modified: true }),
  ])
  await w.call('get', prefs, 'get', 'b')
  await device.sync(prefs)
  w.log('stored', await w.stored(device))
}
