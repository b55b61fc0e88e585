#!/usr/bin/env bash
# A guest of Amplify whose identity was deleted stays shut out.
#
# Versions   aws-amplify as pinned below, Node.js 20 or newer.
# One would guess that Amplify forgets an identity id of which GetCredentialsForIdentity says
#            ResourceNotFoundException, and asks GetId for another one, as the AWS SDK for
#            Android does; a guest has no other way back in.
# Seen       The error goes to the caller each time, with forceRefresh, too. GetId is not called
#            again, and the id stays in localStorage, where the next visit finds it. An operator
#            who deletes unused guests shuts out those who come back, until their app takes the
#            id out of the storage itself.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund aws-amplify@6.22.1
cat >try.mjs <<'JS'
import http from 'node:http'

// What Amplify looks for in a page.
const kept = new Map()
globalThis.window = globalThis
Object.defineProperty(globalThis, 'localStorage', { value: {
  getItem: (key) => kept.get(key) ?? null,
  setItem: (key, value) => kept.set(key, value),
  removeItem: (key) => kept.delete(key),
  clear: () => kept.clear(),
} })
const { Amplify } = await import('aws-amplify')
const { fetchAuthSession } = await import('aws-amplify/auth')

const GONE = { __type: 'ResourceNotFoundException', message: 'Identity not found.' }
let identities = 0
let isGone = false
const calls = []
const server = http.createServer((request, response) => {
  request.resume().on('end', () => {
    const call = request.headers['x-amz-target'].split('.')[1]
    calls.push(call)
    if (call === 'GetId') identities += 1
    const IdentityId = `us-east-1:11111111-2222-3333-4444-55555555555${identities}`
    const Credentials = {
      AccessKeyId: 'ASIAEXAMPLE', SecretKey: 's', SessionToken: 't',
      Expiration: Date.now() / 1000 + 3600,
    }
    const isRefused = isGone && identities === 1 && call !== 'GetId'
    response.statusCode = isRefused ? 400 : 200
    response.setHeader('content-type', 'application/x-amz-json-1.1')
    response.end(JSON.stringify(isRefused ? GONE : { IdentityId, Credentials }))
  })
}).listen(0, '127.0.0.1', async () => {
  Amplify.configure({ Auth: { Cognito: {
    identityPoolId: 'us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f',
    identityPoolEndpoint: `http://127.0.0.1:${server.address().port}/`,
    allowGuestAccess: true,
  } } })
  const look = async (forceRefresh) => {
    try {
      return (await fetchAuthSession({ forceRefresh })).identityId
    } catch (error) {
      return error.name
    }
  }
  const first = await look(false)
  isGone = true
  const later = [await look(true), await look(false), await look(true)]
  console.log(`${first}, then ${later.join(', ')}; calls: ${calls.join(', ')}`)
  console.log('kept:', Object.fromEntries(kept))
  process.exit(
    later.every((each) => each === GONE.__type) &&
    calls.filter((each) => each === 'GetId').length === 1 &&
    [...kept.values()].includes(first) ? 0 : 1)
})
JS
node try.mjs
