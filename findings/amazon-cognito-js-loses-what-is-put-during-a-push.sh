#!/usr/bin/env bash
# amazon-cognito-js overwrites what the app puts while a push is under way.
#
# Versions   amazon-cognito-js and aws-sdk as pinned below, Node.js 20 or newer.
# One would guess that the answer to UpdateRecords settles what was sent, and that a key which
#            the app changed in the meantime stays modified, to go out with the next
#            synchronization. The SDK for Android does it so.
# Seen       Every record of the answer is written over whatever is there, marked as unmodified. The
#            newer value is gone from the device and never reaches the server, though the callback
#            of put said that it was stored; onSuccess tells nothing. A key that was not
#            part of the push survives.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund amazon-cognito-js@1.1.0 aws-sdk@2.1692.0
cat >try.js <<'JS'
const http = require('node:http')
const AWS = require('aws-sdk')
require('amazon-cognito-js')

const pushed = []
let duringPush = async () => {}
const server = http.createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request) body += chunk
  let answer
  if (request.method === 'GET') {
    answer = {
      Records: [], DatasetSyncCount: pushed.length, DatasetExists: pushed.length > 0,
      DatasetDeletedAfterRequestedSyncCount: false, SyncSessionToken: 'token',
    }
  } else {
    const patches = JSON.parse(body).RecordPatches
    pushed.push(Object.fromEntries(patches.map((each) => [each.Key, each.Value])))
    await duringPush()
    const at = Date.now() / 1000
    answer = { Records: patches.map(({ Key, Value }) => ({
      Key, Value, SyncCount: pushed.length, LastModifiedDate: at, DeviceLastModifiedDate: at,
    })) }
  }
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(answer))
}).listen(0, '127.0.0.1', async () => {
  const endpoint = `http://127.0.0.1:${server.address().port}`
  AWS.config.update({ region: 'us-east-1', cognitosync: { endpoint } })
  AWS.config.credentials = new AWS.Credentials('key', 'secret')
  AWS.config.credentials.params = { IdentityPoolId: 'us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f' }
  AWS.config.credentials.identityId = 'us-east-1:11111111-2222-3333-4444-555555555555'
  const manager = new AWS.CognitoSyncManager({
    DataStore: AWS.CognitoSyncManager.StoreInMemory,
  })
  const call = (target, method, ...words) => new Promise((resolve, reject) =>
    target[method](...words, (error, found) => (error ? reject(error) : resolve(found))))
  const prefs = await call(manager, 'openOrCreateDataset', 'prefs')
  const synchronize = () => new Promise((onSuccess, onFailure) =>
    prefs.synchronize({ onSuccess, onFailure }))

  await call(prefs, 'put', 'colour', 'red')
  duringPush = async () => {
    duringPush = async () => {}
    await call(prefs, 'put', 'colour', 'teal')
    await call(prefs, 'put', 'size', '7')
  }
  await synchronize()
  await synchronize()

  const values = await call(prefs, 'getAll')
  console.log('pushed:', JSON.stringify(pushed), 'on the device:', JSON.stringify(values))
  process.exit(
    values.colour === 'red' && values.size === '7' &&
    JSON.stringify(pushed) === '[{"colour":"red"},{"size":"7"}]' ? 0 : 1)
})
JS
AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE=1 NODE_NO_WARNINGS=1 node try.js
