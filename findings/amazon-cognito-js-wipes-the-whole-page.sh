#!/usr/bin/env bash
# amazon-cognito-js: wipeData empties the page's localStorage, and keeps other pools' identities.
#
# Versions   amazon-cognito-js and aws-sdk as pinned below, Node.js 20 or newer.
# One would guess that wipeData, which apps call as a user signs out, removes what the sync
#            manager has stored, and leaves alone what the app or another library keeps.
# Seen       It removes every item of the origin but those whose names contain
#            "aws.cognito.identity". Settings of the app and tokens of other libraries are gone;
#            cached identities of other pools and users stay. And a manager that goes on being
#            used still lists the datasets, since it has their metadata in memory as well,
#            and stores them again with the next write.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund amazon-cognito-js@1.1.0 aws-sdk@2.1692.0
cat >try.js <<'JS'
const AWS = require('aws-sdk')
require('amazon-cognito-js')

// What the library uses of localStorage; items are properties, as in a browser.
class Storage {
  getItem(name) { return Object.hasOwn(this, name) ? this[name] : null }
  setItem(name, text) { this[name] = String(text) }
  removeItem(name) { delete this[name] }
}
const kept = new Storage()
globalThis.window = { localStorage: kept }
AWS.config.update({ region: 'us-east-1' })
AWS.config.credentials = new AWS.CognitoIdentityCredentials({
  IdentityPoolId: 'us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f',
  IdentityId: 'us-east-1:11111111-2222-3333-4444-555555555555',
})
const manager = new AWS.CognitoSyncManager()
const id = manager.getIdentityId()
manager.openOrCreateDataset('prefs', (_, prefs) => prefs.put('colour', 'teal', () => {
  kept.setItem('my-app.theme', 'dark')
  kept.setItem('another-library.session', 'signed in')
  kept.setItem('aws.cognito.identity-id.another-pool', 'somebody')
  manager.wipeData()
  const left = Object.keys(kept)
  AWS.config.credentials.identityId = id // the user comes back, in the same page
  manager.listDatasets((_, datasets) => {
    const names = datasets.map((each) => each.getDatasetName())
    console.log('left:', left.join(', '), '- datasets:', names.join(', '))
    process.exit(
      left.join() === 'aws.cognito.identity-id.another-pool' && names.join() === 'prefs' ? 0 : 1)
  })
}))
JS
AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE=1 NODE_NO_WARNINGS=1 node try.js
