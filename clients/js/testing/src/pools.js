/**
 * Pools and users of a server for tests.
 *
 * @typedef {object} User an identity, with the credentials that an app on its device has
 * @property {string} identityId its id
 * @property {{ accessKeyId: string, secretAccessKey: string, sessionToken: string }} credentials what an
 *   app on the user's device has, in the form that SDKs take
 *
 * @typedef {object} Pool an identity pool of a server for tests
 * @property {string} id its id
 * @property {string} developerProviderName under which users of the developer's sign in
 * @property {() => Promise<User>} guest a guest, with an identity of its own
 * @property {(userId: string) => Promise<User>} user who the developer knows by this id; the same one
 *   each time
 * @property {(userId: string) => Promise<{ identityId: string, token: string }>} vouch what the app's
 *   backend gives a user, for `developerToken` of `@millpond/sync`
 */

const PROVIDER = 'login.test';
const LOGIN = 'cognito-identity.amazonaws.com';

/**
 * @param {import('./developer.js').Ask} call
 * @param {Record<string, any>} [options]
 * @returns {Promise<Pool>}
 */
export async function makePool(call, options) {
  const made = await call('CreateIdentityPool', {
    IdentityPoolName: 'test',
    AllowUnauthenticatedIdentities: true,
    DeveloperProviderName: PROVIDER,
    ...options,
  });
  const id = made.IdentityPoolId;
  const developerProviderName = made.DeveloperProviderName ?? '';

  /** @param {string} identityId @param {Record<string, string>} logins @returns {Promise<User>} */
  async function signIn(identityId, logins) {
    const { Credentials: given } = await call('GetCredentialsForIdentity', {
      IdentityId: identityId,
      Logins: logins,
    });
    const credentials = {
      accessKeyId: given.AccessKeyId,
      secretAccessKey: given.SecretKey,
      sessionToken: given.SessionToken,
    };
    return { identityId, credentials };
  }

  /** @param {string} userId */
  async function vouch(userId) {
    const given = await call('GetOpenIdTokenForDeveloperIdentity', {
      IdentityPoolId: id,
      Logins: { [developerProviderName]: userId },
    });
    return { identityId: given.IdentityId, token: given.Token };
  }

  return {
    id,
    developerProviderName,
    guest: async () => {
      const { IdentityId: identityId } = await call('GetId', { IdentityPoolId: id });
      return signIn(identityId, {});
    },
    user: async (userId) => {
      const { identityId, token } = await vouch(userId);
      return signIn(identityId, { [LOGIN]: token });
    },
    vouch,
  };
}
