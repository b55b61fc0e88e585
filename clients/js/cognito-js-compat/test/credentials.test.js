/** Who it is: what is kept of it, when it is asked, and what follows. */
import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'

import { AWS } from '../src/index.js'

const POOL = 'us-east-1:00000000-0000-0000-0000-000000000000'
const id = (digit) => `us-east-1:${String(digit).repeat(8)}-0000-0000-0000-000000000000`
const KEPT = `aws.cognito.identity-id.${POOL}`
const PROVIDERS = `aws.cognito.identity-providers.${POOL}`

let items, asked, answers

/** A server that gives one answer after the other: a member of the API's, or an error's code. */
async function answer(url, { headers, body }) {
  const [, target] = headers.find(([name]) => name === 'x-amz-target')
  const operation = target.split('.')[1]
  asked.push([operation, JSON.parse(body)])
  const given = answers.shift()
  if (given === undefined) throw new TypeError('There is no network.')
  if (typeof given === 'string' && given.endsWith('Exception')) {
    return Response.json({ message: 'No.' }, { status: 400, headers: { 'x-amzn-errortype': given } })
  }
  const Credentials = {
    AccessKeyId: `key of ${given}`, SecretKey: 's', SessionToken: 't', Expiration: Date.now() / 1000 + 3600,
  }
  return Response.json({ IdentityId: given, ...(operation === 'GetId' ? {} : { Credentials }) })
}

beforeEach(() => {
  items = new Map()
  asked = []
  answers = []
  globalThis.fetch = answer
  globalThis.localStorage = {
    getItem: (name) => items.get(name) ?? null,
    setItem: (name, text) => items.set(name, text),
    removeItem: (name) => items.delete(name),
  }
  AWS.config.endpoint = 'http://localhost:1'
})

const make = (params = {}) => new AWS.CognitoIdentityCredentials({ IdentityPoolId: POOL, ...params })
const operations = () => asked.map(([operation]) => operation)

test('a new guest is asked for once, and kept where aws-sdk keeps it', async () => {
  answers = [id(1), id(1)]
  const guest = make()
  assert.equal(guest.identityId, undefined)
  await Promise.all([guest.getPromise(), guest.getPromise()])
  await guest.getPromise()
  assert.deepEqual(operations(), ['GetId', 'GetCredentialsForIdentity'])
  assert.equal(guest.identityId, id(1))
  assert.equal(guest.accessKeyId, `key of ${id(1)}`)
  assert.equal(items.get(KEPT), id(1))
  assert.ok(!Object.keys(guest).includes('secretAccessKey')) // so that no log shows it
})

test('the guest of the old app is the same guest, also without the network', async () => {
  items.set(KEPT, id(1))
  assert.equal(make().identityId, id(1))
  assert.deepEqual(asked, [])
})

test('a user is who was here only if a provider was used here', () => {
  items.set(KEPT, id(1))
  items.set(PROVIDERS, 'accounts.google.com,another')
  assert.equal(make({ Logins: { 'accounts.google.com': 't' } }).identityId, id(1))
  assert.equal(make({ Logins: { 'login.example': 't' } }).identityId, undefined)
})

test('what was a guest follows before the account is kept', async () => {
  items.set(KEPT, id(1))
  answers = [id(2)]
  const guest = make()
  const seen = []
  await guest.follow(async (was, now) => seen.push([was, now, items.get(KEPT), guest.identityId]))
  guest.params.Logins = { 'login.example': 't' }
  await guest.getPromise()
  assert.deepEqual(seen, [[id(1), id(2), id(1), id(1)]])
  assert.equal(guest.identityId, id(2))
  assert.equal(items.get(PROVIDERS), 'login.example')
})

test('what followed before there was a manager is told to it', async () => {
  items.set(KEPT, id(1))
  answers = [id(2)]
  const guest = make()
  await guest.getPromise()
  const seen = []
  await guest.follow(async (...ids) => seen.push(ids))
  assert.deepEqual(seen, [[id(1), id(2)]])
})

test('another user of this device gets an identity of his own, and nothing follows', async () => {
  items.set(KEPT, id(1))
  items.set(PROVIDERS, 'login.example')
  answers = ['NotAuthorizedException', id(2), id(2)]
  const other = make({ Logins: { 'login.example': 'of another' } })
  const seen = []
  await other.follow(async (...ids) => seen.push(ids))
  await other.getPromise()
  assert.deepEqual(operations(), ['GetCredentialsForIdentity', 'GetId', 'GetCredentialsForIdentity'])
  assert.equal(other.identityId, id(2))
  assert.deepEqual(seen, [['', id(2)]]) // what was written as nobody
})

test('where an identity was deleted another one goes on with its data', async () => {
  items.set(KEPT, id(1))
  answers = ['ResourceNotFoundException', id(2), id(2)]
  const guest = make()
  const seen = []
  await guest.follow(async (...ids) => seen.push(ids))
  await guest.getPromise()
  assert.deepEqual(seen, [[id(1), id(2)]])
})

test('an error has the code and the members of the old ones, and the next call asks again', async () => {
  const guest = make()
  const error = await new Promise((resolve) => guest.get(resolve))
  assert.deepEqual([error.code, error.retryable], ['NetworkingError', true])
  answers = ['InvalidParameterException', id(1), id(1)]
  const refused = await new Promise((resolve) => guest.get(resolve))
  assert.deepEqual([refused.code, refused.statusCode], ['InvalidParameterException', 400])
  await guest.getPromise()
  assert.equal(guest.identityId, id(1))
})

test('without a place or a person there is no manager, and it says what is missing', () => {
  delete AWS.config.credentials
  assert.throws(() => new AWS.CognitoSyncManager(), /AWS.config.credentials/)
  AWS.config.credentials = make()
  delete AWS.config.endpoint
  assert.throws(() => new AWS.CognitoSyncManager(), /AWS.config.endpoint/)
  AWS.config.endpoint = 'http://localhost:1'
  assert.throws(() => new AWS.CognitoSyncManager({ DataStore: class {} }), /@millpond\/sync/)
})

test('where nothing can be signed the manager says so, and not the network later', (context) => {
  AWS.config.credentials = make()
  const { crypto } = globalThis
  Object.defineProperty(globalThis, 'crypto', { value: {}, configurable: true })
  context.after(() => Object.defineProperty(globalThis, 'crypto', { value: crypto, configurable: true }))
  assert.throws(() => new AWS.CognitoSyncManager(), /https/)
})
