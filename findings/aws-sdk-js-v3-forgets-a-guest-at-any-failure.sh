#!/usr/bin/env bash
# fromCognitoIdentityPool of the AWS SDK for JavaScript v3 forgets who the guest is when a call fails.
#
# Versions   @aws-sdk/credential-providers as pinned below, Node.js 20 or newer, npm.
# One would guess that the identity id which a browser keeps in its localStorage, and which is all
#            that leads a guest back to their data, goes when the service says that there is no such
#            identity, and at no other time: a page that is opened without a network, or while a
#            server restarts, has the same guest the next time.
# Seen       Whatever the failure of GetCredentialsForIdentity is (no connection, 503, too many
#            requests), the id is taken out of the storage. The next page asks GetId and is a new
#            guest, with nothing of what the old one had. A `cache` whose removeItem does
#            nothing keeps the guest.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund @aws-sdk/credential-providers@3.1175.0
cat >try.js <<'JS'
const http = require('node:http')
const { fromCognitoIdentityPool } = require('@aws-sdk/credential-providers')

const kept = new Map()
const localStorage = {
  getItem: (name) => kept.get(name) ?? null,
  setItem: (name, text) => void kept.set(name, text),
  removeItem: (name) => void kept.delete(name),
}
globalThis.window = { localStorage } // what the SDK looks for in a browser

let guests = 0
let trouble = null
const server = http.createServer((request, response) => {
  const operation = request.headers['x-amz-target'].split('.')[1]
  if (operation === 'GetId') {
    response.end(JSON.stringify({ IdentityId: `us-east-1:guest-${++guests}` }))
  } else if (trouble === 'connection') {
    request.socket.destroy()
  } else if (trouble) {
    response.writeHead(trouble.status, { 'x-amzn-errortype': trouble.code }).end('{}')
  } else {
    const Expiration = Date.now() / 1000 + 3600
    const Credentials = { AccessKeyId: 'A', SecretKey: 'B', SessionToken: 'C', Expiration }
    response.end(JSON.stringify({ Credentials }))
  }
}).listen(0, '127.0.0.1', async () => {
  const endpoint = `http://127.0.0.1:${server.address().port}`
  const pool = 'us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f'
  // A page that is opened: what it knows is in the storage.
  const open = (more) => fromCognitoIdentityPool({
    identityPoolId: pool, clientConfig: { endpoint, region: 'us-east-1', maxAttempts: 1 }, ...more,
  })().then(({ identityId }) => identityId, () => 'no credentials')
  const visits = async (more) => {
    const seen = [await open(more), await open(more)]
    for (const each of [
      'connection',
      { status: 503, code: 'ServiceUnavailableException' },
      { status: 400, code: 'TooManyRequestsException' },
    ]) {
      trouble = each
      seen.push(await open(more))
      trouble = null
      seen.push(await open(more))
    }
    return seen.map((id) => id.replace('us-east-1:guest-', '')).join(' | ')
  }
  const no = 'no credentials'
  const usual = await visits()
  console.log('as it is:', usual)
  kept.clear()
  guests = 0
  const holding = await visits({ cache: { ...localStorage, removeItem() {} } })
  console.log('a cache that removes nothing:', holding)
  process.exit(
    usual === ['1', '1', no, '2', no, '3', no, '4'].join(' | ') &&
    holding === ['1', '1', no, '1', no, '1', no, '1'].join(' | ') ? 0 : 1)
})
JS
NODE_NO_WARNINGS=1 node try.js
