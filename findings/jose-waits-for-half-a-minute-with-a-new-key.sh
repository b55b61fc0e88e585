#!/usr/bin/env bash
# jose refuses tokens of a new key for half a minute after it has fetched the keys.
#
# Versions   jose 6.2.18, jwks-rsa 4.1.0 with jsonwebtoken 9.0.3, aws-jwt-verify 5.2.1 of npm, Node.js 20 or
#            newer.
# One would guess that a token whose `kid` is in none of the keys that were fetched has them fetched
#            again at once, so that an issuer may sign with a new key from the moment on at which it
#            publishes it; and that a key that is published no more is not good for long.
# Seen       The set that jose's createRemoteJWKSet gives asks again 30 seconds after it has asked at the
#            earliest: until then such a token is ERR_JWKS_NO_MATCHING_KEY, and nothing is fetched. The
#            other two fetch at once. jose takes tokens of a key that is gone for 10 minutes after it has
#            fetched it, aws-jwt-verify for good: it fetches for a key that it does not know, and for
#            nothing else.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund jose@6.2.18 jwks-rsa@4.1.0 jsonwebtoken@9.0.3 aws-jwt-verify@5.2.1
cat >try.mjs <<'JS'
import http from 'node:http'
import { JwtVerifier } from 'aws-jwt-verify'
import { SimpleJwksCache } from 'aws-jwt-verify/jwk'
import * as jose from 'jose'
import jsonwebtoken from 'jsonwebtoken'
import jwksRsa from 'jwks-rsa'

const issuer = 'https://issuer.example'
const audience = 'us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f'
async function make(kid) {
  const { publicKey, privateKey } = await jose.generateKeyPair('RS512')
  const key = { ...await jose.exportJWK(publicKey), kid, use: 'sig', alg: 'RS512' }
  const token = await new jose.SignJWT({}).setProtectedHeader({ alg: 'RS512', kid })
    .setIssuer(issuer).setAudience(audience).setIssuedAt().setExpirationTime('30d').sign(privateKey)
  return { key, token }
}
const [old, next] = [await make('1'), await make('2')]
let keys
let fetches = 0
const server = http.createServer((_, response) => {
  fetches += 1
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ keys }))
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const url = `http://127.0.0.1:${server.address().port}/keys`

const makers = {
  jose() {
    const set = jose.createRemoteJWKSet(new URL(url))
    return (token) => jose.jwtVerify(token, set, { issuer, audience })
  },
  'jwks-rsa'() {
    const client = jwksRsa({ jwksUri: url })
    return async (token) => {
      const { header } = jsonwebtoken.decode(token, { complete: true })
      const key = await client.getSigningKey(header.kid)
      return jsonwebtoken.verify(token, key.getPublicKey(), { issuer, audience })
    }
  },
  'aws-jwt-verify'() { // it takes https alone, so it is given what fetches
    const fetcher = { fetch: async () => (await fetch(url)).arrayBuffer() }
    const settings = { issuer, audience, jwksUri: 'https://issuer.example/keys' }
    const verifier = JwtVerifier.create(settings, { jwksCache: new SimpleJwksCache({ fetcher }) })
    return (token) => verifier.verify(token)
  },
}
const now = Date.now
async function look(name, steps) {
  const begun = now()
  const verify = makers[name]()
  const seen = []
  for (const [afterS, published, { token }] of steps) {
    keys = published.map(({ key }) => key)
    Date.now = () => begun + afterS * 1000
    const before = fetches
    seen.push(await verify(token).then(() => 'good', () => 'refused') + (fetches - before))
  }
  Date.now = now
  return seen.join(' ')
}
const result = {}
for (const name of Object.keys(makers)) {
  const both = [old, next]
  // A new key, after 1, 29 and 31 seconds.
  const added = [[0, [old], old], [1, both, next], [29, both, next], [31, both, next]]
  // A key that is gone, after 9 and 11 minutes and a day. jwks-rsa goes by another clock.
  const gone = [[0, [old], old], [540, [next], old], [660, [next], old], [86_400, [next], old]]
  result[name] = [await look(name, added)]
  if (name !== 'jwks-rsa') result[name].push(await look(name, gone))
}
console.log('(good or refused, and how often the keys were fetched for it)')
console.log(result)
const expected = {
  jose: ['good1 refused0 refused0 good1', 'good1 good0 refused1 refused1'],
  'jwks-rsa': ['good1 good1 good0 good0'],
  'aws-jwt-verify': ['good1 good1 good0 good0', 'good1 good0 good0 good0'],
}
process.exit(JSON.stringify(result) === JSON.stringify(expected) ? 0 : 1)
JS
NODE_NO_WARNINGS=1 node try.mjs
