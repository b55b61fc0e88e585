/** A scenario's world: devices of one library, the server, a developer, and the log. */
import { randomUUID } from 'node:crypto'

import { Proxy } from './proxy.mjs'
import { Storage, Teller } from './telling.mjs'

const CALL_MS = 2500 // the old library does not call back at all, now and then
const SYNC_MS = 15000
const LOGIN = 'login.example'
const OPENID = 'cognito-identity.amazonaws.com'

export class World {
  #server
  #teller = new Teller()
  #open = []
  entries = {}

  /**
   * @param {{old?, ours?}} libraries the first one is that of new devices
   * @param {{endpoint, region, pool, accessKeyId, secretAccessKey}} server
   */
  constructor(libraries, sdk, server) {
    this.libraries = libraries
    this.#server = server
    const [library] = Object.values(libraries)
    this.names = library.AWS.CognitoSyncManager
    const { endpoint, region, accessKeyId, secretAccessKey } = server
    const options = { endpoint, region, accessKeyId, secretAccessKey }
    this.sync = new sdk.CognitoSync(options)
    this.identities = new sdk.CognitoIdentity(options)
  }

  /** Write something into the log, under a label of its own. */
  log(label, value) {
    if (label in this.entries) throw new Error(`there is a "${label}" already`)
    this.entries[label] = this.#teller.tell(value)
  }

  tell(value) {
    return this.#teller.tell(value)
  }

  /** A device of a user; a new guest's unless it is told whose. */
  async device({ user, storage = new Storage(), start = true } = {}) {
    const proxy = await new Proxy(this.#server.endpoint).listen()
    this.#open.push(proxy)
    const device = new Device(this, this.#server, proxy, storage)
    if (start) await device.start(user)
    return device
  }

  /** Two devices of one user, who is signed in. */
  async pair() {
    const user = await this.user()
    return [await this.device({ user }), await this.device({ user })]
  }

  /** Somebody whom the developer's backend signed in. */
  async user(identityId) {
    const answer = await this.identities.getOpenIdTokenForDeveloperIdentity({
      IdentityPoolId: this.#server.pool,
      ...(identityId ? { IdentityId: identityId } : {}),
      Logins: { [LOGIN]: randomUUID() },
    }).promise()
    return { identityId: answer.IdentityId, logins: { [OPENID]: answer.Token } }
  }

  /** Such a user, who has some records already. */
  async userWith(values) {
    const user = await this.user()
    const device = await this.device({ user })
    const prefs = await device.open()
    await device.put(prefs, values)
    await device.sync(prefs)
    return user
  }

  /** What the server has of a dataset, by key. */
  async stored(device, dataset = 'prefs') {
    const listed = await this.sync.listRecords({
      ...this.#place(device), DatasetName: dataset,
    }).promise()
    const records = listed.Records.map((each) => [
      each.Key, `${each.Value === undefined ? 'removed' : JSON.stringify(each.Value)} @${each.SyncCount}`,
    ])
    return Object.fromEntries(records.sort())
  }

  /** Write as somebody else, at the server. */
  async writeThere(device, values, dataset = 'prefs') {
    const place = { ...this.#place(device), DatasetName: dataset }
    const listed = await this.sync.listRecords(place).promise()
    const counts = new Map(listed.Records.map((each) => [each.Key, each.SyncCount]))
    await this.sync.updateRecords({
      ...place,
      SyncSessionToken: listed.SyncSessionToken,
      RecordPatches: Object.entries(values).map(([Key, Value]) => ({
        Key, SyncCount: counts.get(Key) ?? 0, Op: Value === null ? 'remove' : 'replace',
        ...(Value === null ? {} : { Value }),
      })),
    }).promise()
  }

  /** Delete a dataset, as another device or the developer does. */
  async deleteThere(device, dataset = 'prefs') {
    await this.sync.deleteDataset({ ...this.#place(device), DatasetName: dataset }).promise()
  }

  #place(device) {
    return { IdentityPoolId: this.#server.pool, IdentityId: device.identityId }
  }

  /** Call a method whose last argument is a callback, and log what that was given. */
  async call(label, target, method, ...args) {
    const done = await this.ask(target, method, ...args)
    this.log(label, done.thrown ? { thrown: done.thrown } : (done.got ?? 'never called back'))
    return done.got?.[1]
  }

  /** As `call`, without the log; `inside` tells whether it was called before the return. */
  ask(target, method, ...args) {
    return new Promise((resolve) => {
      let inside = true
      const timer = setTimeout(() => resolve({}), CALL_MS)
      const end = (done) => { clearTimeout(timer); resolve(done) }
      try {
        target[method](...args, (...got) => end({ got, inside }))
      } catch (error) {
        end({ thrown: error.constructor.name })
      }
      inside = false
    })
  }

  close() {
    for (const proxy of this.#open) proxy.close()
  }
}

class Device {
  #world
  #server

  constructor(world, server, proxy, storage) {
    this.#world = world
    ;[this.library] = Object.values(world.libraries)
    this.#server = server
    this.proxy = proxy
    this.storage = storage
  }

  get identityId() {
    return this.provider.identityId
  }

  /** Start the app; it has what it stored before. */
  async start(user, { wait = true, ...options } = {}) {
    const identityId = user?.identityId ?? (this.provider && this.identityId)
    const started = this.library.start({
      endpoint: this.proxy.endpoint,
      region: this.#server.region,
      params: {
        IdentityPoolId: this.#server.pool,
        ...(identityId ? { IdentityId: identityId } : {}),
        ...(user ? { Logins: user.logins } : {}),
      },
      storage: this.storage,
      ...options,
    })
    this.provider = started.provider
    if (wait) await this.provider.getPromise()
    this.manager = started.manager
    this.proxy.take()
  }

  /** Sign in, as whoever the device was until now: the same provider, with logins. */
  async login(user) {
    this.provider.params.Logins = user.logins
    this.provider.expired = true
    await this.provider.getPromise()
  }

  async open(name = 'prefs') {
    const { got } = await this.#world.ask(this.manager, 'openOrCreateDataset', name)
    if (got[0]) throw got[0]
    return got[1]
  }

  async put(dataset, values) {
    for (const [key, value] of Object.entries(values)) {
      const method = value === null ? 'remove' : 'put'
      const words = value === null ? [key] : [key, value]
      const { got } = await this.#world.ask(dataset, method, ...words)
      if (got[0]) throw got[0]
    }
  }

  async values(dataset) {
    const { got } = await this.#world.ask(dataset, 'getAll')
    return Object.fromEntries(Object.entries(got[1]).sort())
  }

  /** Synchronize, and tell what was called with what, in order. */
  synchronize(dataset, handlers = {}) {
    const calls = []
    return new Promise((resolve) => {
      const end = () => { clearTimeout(timer); setImmediate(() => resolve(calls)) }
      const timer = setTimeout(() => { calls.push('never ended'); end() }, SYNC_MS)
      const callbacks = {
        onSuccess: (...got) => { calls.push({ onSuccess: this.#world.tell(got) }); end() },
        onFailure: (...got) => { calls.push({ onFailure: this.#world.tell(got) }); end() },
      }
      for (const [name, handler] of Object.entries(handlers)) {
        callbacks[name] = (...got) => {
          calls.push({ [name]: this.#world.tell(got) })
          return handler(...got)
        }
      }
      const thrown = (error) => {
        calls.push({ thrown: error.constructor.name })
        end()
      }
      process.once('uncaughtException', thrown) // of what is called by the network
      try {
        dataset.synchronize(callbacks)
      } catch (error) {
        thrown(error)
      }
      timer.unref()
      this.ended = () => process.removeListener('uncaughtException', thrown)
    }).finally(() => this.ended())
  }

  /** Synchronize well, or the scenario is at fault. */
  async sync(dataset) {
    const calls = await this.synchronize(dataset)
    if (!calls.at(-1).onSuccess) throw new Error(JSON.stringify(calls))
  }

  /** The writes that the server was asked for since the last time. */
  writes() {
    return this.proxy.take().filter((each) => !each.startsWith('List'))
  }
}
