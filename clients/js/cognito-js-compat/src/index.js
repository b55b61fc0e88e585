/**
 * The names of `amazon-cognito-js`, on `@millpond/sync` and without `aws-sdk`.
 *
 *     import AWS from '@millpond/cognito-js-compat'
 *
 *     AWS.config.endpoint = 'https://sync.example.com'
 *     AWS.config.credentials = new AWS.CognitoIdentityCredentials({ IdentityPoolId: '…' })
 *     AWS.config.credentials.get(() => { const manager = new AWS.CognitoSyncManager() })
 */

import { config } from './config.js'
import { CognitoIdentityCredentials } from './credentials.js'
import { CognitoSyncManager } from './manager.js'

export { CognitoSyncDataset } from './dataset.js'
export { CognitoSyncDatasetMetadata } from './metadata.js'
export { CognitoSyncConflict, CognitoSyncRecord } from './records.js'

/** What pages call `AWS`. */
export const AWS = { config, CognitoIdentityCredentials, CognitoSyncManager }
export default AWS
export { config, CognitoIdentityCredentials, CognitoSyncManager }
