#!/usr/bin/env bash
# amazon-cognito-js: an app with datasets "app" and "app.settings" never synchronizes "app".
#
# Versions   amazon-cognito-js and aws-sdk as pinned below, Node.js 20 or newer.
# One would guess that datasets are independent whatever their names, since a dot may stand in
#            a name; or else that onDatasetsMerged, answered by true, goes on.
# Seen       A local dataset whose name begins with that of another one and a dot counts as merged
#            from another identity. onDatasetsMerged is asked before anything is sent;
#            true begins anew, and so on, four times, until "exceeded maximum retry
#            count"; false, which is the default, fails at once. The server is not asked at all.
#            The longer name synchronizes well, so the app seems to work in part.
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

const listed = []
const server = http.createServer((request, response) => {
  listed.push(decodeURIComponent(request.url.split('/')[6]))
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({
    Records: [], DatasetSyncCount: 0, DatasetExists: false,
    DatasetDeletedAfterRequestedSyncCount: false, SyncSessionToken: 'token',
  }))
}).listen(0, '127.0.0.1', async () => {
  const endpoint = `http://127.0.0.1:${server.address().port}`
  AWS.config.update({ region: 'us-east-1', cognitosync: { endpoint } })
  AWS.config.credentials = new AWS.Credentials('key', 'secret')
  AWS.config.credentials.params = { IdentityPoolId: 'us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f' }
  AWS.config.credentials.identityId = 'us-east-1:11111111-2222-3333-4444-555555555555'
  const manager = new AWS.CognitoSyncManager({
    DataStore: AWS.CognitoSyncManager.StoreInMemory,
  })
  const open = (name) => new Promise((resolve) =>
    manager.openOrCreateDataset(name, (_, dataset) => resolve(dataset)))
  const [app, settings] = [await open('app'), await open('app.settings')]
  const synchronize = (dataset) => new Promise((resolve) => {
    let asked = 0
    dataset.synchronize({
      onSuccess: () => resolve(`${asked} questions, success`),
      onFailure: (error) => resolve(`${asked} questions, ${error.message}`),
      onDatasetsMerged: (_, names, callback) => { asked += 1; callback(true) },
    })
  })
  const told = [await synchronize(app), await synchronize(settings)]
  console.log(told.join(' - '), '- listed:', listed.join())
  process.exit(
    told[0] === '4 questions, Synchronize failed: exceeded maximum retry count.' &&
    told[1] === '0 questions, success' && listed.join() === 'app.settings' ? 0 : 1)
})
JS
AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE=1 NODE_NO_WARNINGS=1 node try.js
