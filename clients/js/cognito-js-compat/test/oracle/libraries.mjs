/** The two libraries, started in the same way: the archived one, and ours. */
import { createRequire } from 'node:module'

/** @param {string} packages the folder in which npm installed the archived ones */
export function loadOld(packages) {
  const require = createRequire(`${packages}/`)
  const AWS = require('aws-sdk')
  require('amazon-cognito-js') // adds itself to the SDK
  return {
    name: 'old',
    AWS,
    start({ endpoint, region, params, storage, provider }) {
      AWS.config.update({ region, cognitosync: { endpoint } })
      AWS.config.credentials =
        provider ?? new AWS.CognitoIdentityCredentials(params, { region, endpoint })
      globalThis.window = { localStorage: storage } // where it looks, as it is made
      const manager = new AWS.CognitoSyncManager()
      delete globalThis.window
      return { manager, provider: AWS.config.credentials }
    },
  }
}

export async function loadOurs() {
  const { AWS } = await import('../../src/index.js')
  return {
    name: 'ours',
    AWS,
    // What an app writes is what it wrote before, and an endpoint.
    start({ endpoint, region, params, storage, provider, options }) {
      AWS.config.update({ region, endpoint })
      Object.defineProperty(globalThis, 'localStorage', {
        value: storage, configurable: true, writable: true,
      })
      AWS.config.credentials = provider ?? new AWS.CognitoIdentityCredentials(params)
      const manager = new AWS.CognitoSyncManager(options)
      delete globalThis.localStorage
      return { manager, provider: AWS.config.credentials }
    },
  }
}
