#!/usr/bin/env bash
# Amplify hands out a guest's credentials for 50 minutes, whatever Expiration says.
#
# Versions   aws-amplify as pinned below, Node.js 20 or newer.
# One would guess that fetchAuthSession gets new credentials once those it has are past the
#            Expiration that came with them; it shows that date to its caller.
# Seen       A fixed 50 minutes count, from the moment of the answer. Credentials that are good
#            for 15 minutes are handed out unchanged, with a date in the past, for 35 minutes
#            more: every call that is signed with them is refused, and none of these refusals
#            makes Amplify get others. Against a service whose credentials last an hour, as
#            Cognito's do, nobody notices.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund aws-amplify@6.22.1
cat >try.mjs <<'JS'
import http from 'node:http'

import { Amplify } from 'aws-amplify'
import { fetchAuthSession } from 'aws-amplify/auth'

const IdentityId = 'us-east-1:11111111-2222-3333-4444-555555555555'
const MINUTE = 60_000
let later = 0
const SystemDate = Date
globalThis.Date = class extends SystemDate {
  constructor(...given) {
    given.length ? super(...given) : super(SystemDate.now() + later)
  }
  static now() {
    return SystemDate.now() + later
  }
}

let handed = 0
const server = http.createServer((request, response) => {
  request.resume().on('end', () => {
    const answer = { IdentityId }
    if (request.headers['x-amz-target'].endsWith('.GetCredentialsForIdentity')) {
      handed += 1
      answer.Credentials = {
        AccessKeyId: 'ASIAEXAMPLE', SecretKey: 's', SessionToken: 't',
        Expiration: Date.now() / 1000 + 15 * 60,
      }
    }
    response.setHeader('content-type', 'application/x-amz-json-1.1')
    response.end(JSON.stringify(answer))
  })
}).listen(0, '127.0.0.1', async () => {
  Amplify.configure({ Auth: { Cognito: {
    identityPoolId: 'us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f',
    identityPoolEndpoint: `http://127.0.0.1:${server.address().port}/`,
    allowGuestAccess: true,
  } } })
  const seen = []
  for (const minutes of [0, 16, 49, 51]) {
    later = minutes * MINUTE
    const { credentials } = await fetchAuthSession()
    const left = Math.round((credentials.expiration - Date.now()) / MINUTE)
    seen.push(`${minutes}:${left}:${handed}`)
    console.log(`after ${minutes} min: good for ${left} min more, asked ${handed} time(s)`)
  }
  process.exit(seen.join() === '0:15:1,16:-1:1,49:-34:1,51:15:2' ? 0 : 1)
})
JS
node try.mjs
