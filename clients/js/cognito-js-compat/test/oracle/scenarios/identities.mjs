/** Guests, users, and guests who become users. */

export async function guestsApart(w) {
  const storage = new (await import('../telling.mjs')).Storage()
  const device = await w.device({ storage })
  const prefs = await device.open()
  await device.put(prefs, { secret: '1' })
  await device.sync(prefs)
  const other = await w.device({ storage, user: await w.user() })
  const theirs = await other.open()
  w.log('values', await other.values(theirs))
  await w.call('listed', other.manager, 'listDatasets')
}

/** A guest signs in to an account that is new: the identity stays. */
export async function guestSignsUp(w) {
  const device = await w.device()
  const prefs = await device.open()
  await device.put(prefs, { a: '1' })
  await device.sync(prefs)
  await device.put(prefs, { b: '2' })
  const before = device.identityId
  await device.login(await w.user(before))
  w.log('stays', device.identityId === before)
  w.log('calls', await device.synchronize(prefs))
  w.log('stored', await w.stored(device))
}

/** A guest with data, and somebody's account that has data already. */
async function guestAndAccount(w) {
  const user = await w.userWith({ of: 'account' })
  const device = await w.device()
  const prefs = await device.open()
  await device.put(prefs, { synced: 'guest' })
  await device.sync(prefs)
  return { user, device, prefs }
}

/** A guest signs in to an account that has data already. */
export async function guestSignsIn(w) {
  const { user, device, prefs } = await guestAndAccount(w)
  await device.put(prefs, { unsent: 'guest' })
  const guest = device.identityId
  await device.login(user)
  w.log('is the account', device.identityId === user.identityId)
  const told = await w.ask(device.manager, 'listDatasets')
  w.log('listed', told.got?.[1]?.map((each) => each.getDatasetName()).sort())
  const done = await w.ask(prefs, 'put', 'late', '1')
  w.log('put on the open dataset', done.thrown ?? done.got)
  const again = await device.open()
  w.log('values', await device.values(again))
  const asks = []
  w.log('calls', await device.synchronize(again, {
    onDatasetsMerged: (dataset, names, callback) => { asks.push(names.length); callback(true) },
    onConflict: (dataset, conflicts, callback) => callback(false),
  }))
  w.log('values after', await device.values(again))
  w.log('stored', await w.stored(device))
  w.log('again', await device.synchronize(again, {
    onDatasetsMerged: (dataset, names, callback) => callback(true),
  }))
  w.log('guest changed', device.identityId !== guest)
}

/** The same, and the app says no to what was merged. */
export async function guestSignsInNo(w) {
  const { user, device, prefs } = await guestAndAccount(w)
  await device.login(user)
  const again = await device.open()
  w.log('by itself', await device.synchronize(again))
  w.log('no', await device.synchronize(again, {
    onDatasetsMerged: (dataset, names, callback) => callback(false),
  }))
  w.log('writes', device.writes())
  w.log('stored', await w.stored(device))
}

/** The app starts without the network, and never had an identity. */
export async function nobodyYet(w) {
  const device = await w.device({ start: false })
  device.proxy.offline = true
  await device.start(undefined, { wait: false })
  const prefs = await device.open()
  const done = await w.ask(prefs, 'put', 'a', '1')
  w.log('put', done.thrown ?? done.got)
  await w.call('get', prefs, 'get', 'a')
  device.proxy.offline = false
  await device.provider.getPromise()
  const again = await device.open()
  w.log('calls', await device.synchronize(again))
  w.log('values', await device.values(again))
}

/** The operator deletes the identity of a guest, who comes back. */
export async function identityDeleted(w) {
  const device = await w.device()
  const prefs = await device.open()
  await device.put(prefs, { a: '1' })
  await device.sync(prefs)
  await device.put(prefs, { b: '2' })
  await w.identities.deleteIdentities({ IdentityIdsToDelete: [device.identityId] }).promise()
  device.provider.expired = true
  const calls = await device.synchronize(prefs)
  w.log('ends', Object.keys(calls.at(-1)))
  w.log('values', await device.values(await device.open()))
}
