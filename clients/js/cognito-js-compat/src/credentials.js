/**
 * `CognitoIdentityCredentials` of `aws-sdk`, as far as apps with a `CognitoSyncManager` use it.
 *
 * The identity is kept where that SDK keeps it, so a guest of the old app stays the same guest.
 */

import { ApiError, createApi } from '@millpond/sync/internals'

import { placeOf } from './config.js'

const ITEM = 'aws.cognito.identity-' // and 'id.' or 'providers.', the pool, and a LoginId
const EXPIRY_WINDOW_S = 15

/**
 * @typedef {object} CredentialsParams
 * @property {string} IdentityPoolId
 * @property {string} [IdentityId] who it is, where that is known
 * @property {Record<string, string>} [Logins] tokens by the name of their provider
 * @property {string} [LoginId] tells apart several users of one device
 * @property {string} [AccountId]
 * @property {string} [CustomRoleArn]
 * @property {string} [RoleArn] not used: a Millpond gives credentials without one
 *
 * @typedef {(error?: any) => void} Done
 * @typedef {(was: string, now: string) => Promise<unknown>} Follower
 */

/** The temporary credentials of an identity; they are renewed as they end. */
export class CognitoIdentityCredentials {
  #config
  #area = storageOf()
  #identityId = ''
  /** @type {Promise<void> | null} */
  #loading = null
  /** @type {Set<Follower>} */
  #followers = new Set()
  /** @type {[string, string][]} */
  #unfollowed = []

  /**
   * @param {CredentialsParams} params
   * @param {import('./config.js').Settings} [clientConfig] `endpoint` and `region`, where those
   *   of `AWS.config` are not meant
   */
  constructor(params, clientConfig = {}) {
    this.params = params
    this.#config = clientConfig
    this.expired = false
    /** @type {Date | null} */
    this.expireTime = null
    this.expiryWindow = EXPIRY_WINDOW_S
    /** @type {string | undefined} */
    this.accessKeyId = undefined
    /** @type {string | undefined} */
    this.secretAccessKey = undefined
    /** @type {string | undefined} */
    this.sessionToken = undefined
    /** @type {any} the answer that they came with */
    this.data = null
    Object.defineProperty(this, 'secretAccessKey', { enumerable: false })
    this.#loadId()
  }

  /** Whose they are; undefined until the server or this device has said it. */
  get identityId() {
    return this.#identityId || this.params.IdentityId
  }

  set identityId(identityId) {
    this.#identityId = identityId ?? ''
  }

  needsRefresh() {
    const isThere = this.accessKeyId && this.secretAccessKey && this.identityId
    if (this.expired || !isThere) return true
    const end_ms = this.expireTime?.getTime() ?? Infinity
    return Date.now() + this.expiryWindow * 1000 > end_ms
  }

  /** @param {Done} [callback] once there are credentials that have not ended */
  get(callback) {
    tell(this.getPromise(), callback)
  }

  /** @returns {Promise<void>} */
  async getPromise() {
    if (this.needsRefresh()) await this.refreshPromise()
  }

  /** @param {Done} [callback] once there are new ones */
  refresh(callback) {
    tell(this.refreshPromise(), callback)
  }

  /** @returns {Promise<void>} who asks while it is under way gets the same ones */
  refreshPromise() {
    this.#loading ??= this.#load().finally(() => (this.#loading = null))
    return this.#loading
  }

  /** Forget who it is; the next guest is another one. */
  clearCachedId() {
    this.#identityId = ''
    delete this.params.IdentityId
    for (const each of ['id', 'providers']) this.#area?.removeItem(this.#item(each))
  }

  /**
   * Have data follow when an identity became part of another one.
   *
   * @internal
   * @param {Follower} follower
   */
  follow(follower) {
    this.#followers.add(follower)
    return Promise.all(this.#unfollowed.map(([was, now]) => follower(was, now)))
  }

  async #load() {
    const place = placeOf('cognitoidentity', this.#config, this.params.IdentityPoolId)
    const api = createApi(place)
    try {
      await this.#ask(api)
    } catch (error) {
      const code = error instanceof ApiError ? error.code : ''
      const was = this.identityId
      const isGone = code === 'ResourceNotFoundException'
      if (!isGone && code !== 'NotAuthorizedException') throw asOldError(error)
      this.clearCachedId()
      // A guest that is refused is left to the app; a user may be another one than was here.
      if (!was || !(isGone || Object.keys(this.params.Logins ?? {}).length)) throw asOldError(error)
      // Where the identity was deleted, whoever holds this device goes on as another one.
      await this.#ask(api, isGone ? was : '').catch((again) => {
        throw asOldError(again)
      })
    }
  }

  /**
   * @param {ReturnType<typeof createApi>} api
   * @param {string} [was]
   */
  async #ask(api, was = this.identityId ?? '') {
    const { IdentityPoolId, AccountId, Logins, CustomRoleArn } = this.params
    this.params.IdentityId ??= (await api.call('GetId', { IdentityPoolId, AccountId, Logins })).IdentityId
    const { IdentityId } = this.params
    const data = await api.call('GetCredentialsForIdentity', { IdentityId, Logins, CustomRoleArn })
    const now = data.IdentityId
    if (was !== now) await this.#lead(was, now)
    this.#identityId = this.params.IdentityId = now
    this.#keepId(now)
    this.data = data
    this.expired = false
    this.accessKeyId = data.Credentials.AccessKeyId
    this.secretAccessKey = data.Credentials.SecretKey
    this.sessionToken = data.Credentials.SessionToken
    this.expireTime = new Date(data.Credentials.Expiration * 1000)
  }

  /**
   * Before the new identity is kept: should the page end here, it is asked, and merged, again.
   *
   * @param {string} was
   * @param {string} now
   */
  async #lead(was, now) {
    if (!this.#followers.size) this.#unfollowed.push([was, now])
    for (const each of this.#followers) await each(was, now)
  }

  #loadId() {
    const kept = this.#area?.getItem(this.#item('id'))
    if (!kept || this.params.IdentityId) return
    const { Logins } = this.params
    const known = (this.#area?.getItem(this.#item('providers')) ?? '').split(',')
    // Who signs in by a provider that was not used here may be somebody else.
    if (!Logins || known.some((each) => each in Logins)) this.params.IdentityId = kept
  }

  /** @param {string} identityId */
  #keepId(identityId) {
    try {
      this.#area?.setItem(this.#item('id'), identityId)
      const { Logins } = this.params
      if (Logins) this.#area?.setItem(this.#item('providers'), Object.keys(Logins).join(','))
    } catch {
      // There is no room, or it is forbidden: a guest of this page alone.
    }
  }

  /** @param {string} name */
  #item(name) {
    return `${ITEM}${name}.${this.params.IdentityPoolId}${this.params.LoginId ?? ''}`
  }
}

/** The page's `localStorage`, where there is one that may be used. */
export function storageOf() {
  try {
    const found = globalThis.localStorage
    return typeof found?.getItem === 'function' ? found : undefined
  } catch {
    return undefined
  }
}

/**
 * @param {Promise<void>} promise
 * @param {Done} [callback] what it throws is nobody's but the app's
 */
function tell(promise, callback = () => {}) {
  const later = (/** @type {any} */ error) => queueMicrotask(() => (error ? callback(error) : callback()))
  promise.then(() => later(undefined), later)
}

/**
 * An error with the members that errors of `aws-sdk` have.
 *
 * @param {any} error
 */
export function asOldError(error) {
  const isAnswer = error instanceof ApiError
  if (!isAnswer && error?.code !== 'Unanswered') return error
  const message = isAnswer ? error.message : 'Network Failure' // as in a browser
  return Object.assign(new Error(message, { cause: error }), {
    code: isAnswer ? error.code : 'NetworkingError',
    statusCode: error.status,
    requestId: error.requestId,
    retryable: error.retryable,
    time: new Date(),
  })
}

/**
 * The error that `aws-sdk` makes of whatever kept it from having credentials.
 *
 * @param {any} cause
 */
export function credentialsError(cause) {
  const error = new Error(`There are no credentials: ${cause?.message}`, { cause })
  return Object.assign(error, { code: 'CredentialsError', originalError: cause })
}
