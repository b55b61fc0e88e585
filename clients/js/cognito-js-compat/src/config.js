/** `AWS.config`, as far as these clients read it. */

/**
 * @typedef {object} Settings
 * @property {string} [endpoint] the URL of the Millpond server
 * @property {string} [region] that of the pool unless it is said
 * @property {any} [credentials] whose data it is: see `CognitoIdentityCredentials`
 * @property {{endpoint?: string}} [cognitosync] where that of Cognito Sync alone is another
 * @property {{endpoint?: string}} [cognitoidentity] where that of Cognito Identity alone is another
 */

/** What clients go by that are given nothing else. @type {Settings & {update(options: Settings): void}} */
export const config = {
  /** @param {Settings} options */
  update(options) {
    Object.assign(this, options)
  },
}

/**
 * Where a service is, and in which region.
 *
 * @param {'cognitosync' | 'cognitoidentity'} service
 * @param {Settings} options of the object that asks
 * @param {string} pool
 */
export function placeOf(service, options, pool) {
  const endpoint = options.endpoint ?? config[service]?.endpoint ?? config.endpoint
  if (!endpoint) {
    throw new Error('There is no endpoint: set AWS.config.endpoint to the URL of the server.')
  }
  return { endpoint, region: options.region ?? config.region ?? pool.split(':')[0] }
}
