/**
 * Who calls: a guest, a user who signed in, or a developer; and with what credentials.
 *
 *     guest --------- signs in ---------> user    the same identity, or merged into another
 *       `---- its identity is deleted --> guest   another one, and the data follows
 *     user ---------- another user -----> user    nothing follows
 *       `------------ merged elsewhere -> user    the data follows
 *
 * The id of the identity is kept in the app's storage, so that the same guest comes back.
 * Credentials are not: they are in memory, and renewed before they end by the clock of the
 * server, once for all who wait for them.
 *
 * Rule: an identity that is kept is shown with a login only where it is a guest's, or of the
 * same user. Somebody else's login would be linked to it for good.
 */

import { ApiError, NoCredentials, Unanswered, withoutCredentials } from './api/faults.js';
import { sha256 } from './api/sign.js';
import { exclusive } from './tabs.js';

/**
 * @typedef {import('./api/sign.js').Credentials} Credentials
 *
 * @typedef {import('./remote.js').Kept & {
 *   endpoint: string, pool: string, region: string,
 *   api: { call(name: string, params: Record<string, any>): Promise<any>, now(): number },
 * }} Context
 *
 * @typedef {object} Provider
 * @property {(context: Context) => void} attach is called once, before anything else
 * @property {() => Promise<string | null>} known the identity as it was last told, without asking
 * @property {() => Promise<string>} identityId asks where it is not known
 * @property {(refused?: Credentials) => Promise<Credentials>} credentials others than those refused
 * @property {() => Promise<void>} forget the user signs out
 *
 * @typedef {{ logins: Record<string, string>, identityId?: string }} Login what a user shows: tokens
 *   by the names of their providers, and whose they are where a backend said so
 *
 * @typedef {{ id: string, kind: 'guest' | 'user', who: string }} Note what is kept of an identity;
 *   `who` tells users apart and is empty where that cannot be told
 */

const OF_DEVELOPER = 'cognito-identity.amazonaws.com';
const NAME = 'identity';
const TOLD_MAX = 8; // how often an identity may turn out to be another within one renewal
const EARLY_MS = 300_000; // or a quarter of their life, where that is less

/** Be a guest, the same one as long as the storage keeps the id. */
export const guest = () => users(async () => null);

/**
 * Be the user of an OpenID Connect provider; a guest until there is a token.
 *
 * @param {string} provider its name in `Logins`, such as `accounts.google.com`
 * @param {() => string | null | undefined | Promise<string | null | undefined>} token gives the ID
 *   token that counts now, or nothing while nobody has signed in; asked at each renewal
 */
export const openId = (provider, token) =>
  users(async () => {
    const found = await token();
    return found ? { logins: { [provider]: found } } : null;
  });

/**
 * Be a user whom one's own backend has signed in; a guest until it has.
 *
 * @param {(guestId: string | null) => BackendToken | Promise<BackendToken>} token gives what the
 *   backend got from GetOpenIdTokenForDeveloperIdentity, or nothing while nobody has signed in. It is
 *   given the id of the guest, if there is one: the backend names it there, and its data follows.
 *
 * @typedef {{ identityId: string, token: string } | null | undefined} BackendToken
 */
export const developerToken = (token) =>
  users(async (guestId) => {
    const found = await token(guestId);
    return found ? { logins: { [OF_DEVELOPER]: found.token }, identityId: found.identityId } : null;
  });

/**
 * Call for an identity with credentials as they are: a developer's key, or somebody's else.
 *
 * @param {Credentials & { identityId: string }} given
 * @returns {Provider}
 */
export function fixed({ identityId, ...credentials }) {
  return {
    attach() {},
    known: async () => identityId,
    identityId: async () => identityId,
    credentials: async () => credentials,
    async forget() {},
  };
}

/**
 * Guests and users of a pool, by what they show.
 *
 * @param {(guestId: string | null) => Promise<Login | null>} show
 * @returns {Provider}
 */
function users(show) {
  /** @type {Context} */
  let context;
  /** @type {{ id: string, credentials: Credentials, renewMs: number } | undefined} */
  let given;
  /** @type {Promise<Credentials> | undefined} */
  let renewal;

  const read = async () => readNote(await context.get(NAME));

  /** @param {Login | null} login */
  async function newId(login) {
    const params = { IdentityPoolId: context.pool, Logins: login?.logins };
    return text((await context.api.call('GetId', params)).IdentityId);
  }

  /**
   * Keep whose the app is now. What was somebody's that became part of it follows first.
   *
   * @param {Note | null} before
   * @param {Note} after
   * @param {boolean} [gone] the identity before is not there any more
   */
  async function keep(before, after, gone = false) {
    const same = after.who && before?.who === after.who;
    if (before && before.id !== after.id && (before.kind === 'guest' || same || gone)) {
      await context.merged(before.id, after.id);
    }
    if (JSON.stringify(before) !== JSON.stringify(after)) {
      await context.put({ [NAME]: JSON.stringify(after) });
    }
    return after;
  }

  /** The identity of who has none yet; of several tabs that begin together, the first one's. */
  const first = (/** @type {Login | null} */ login, /** @type {Omit<Note, 'id'>} */ rest) =>
    exclusive(`millpond identity ${context.endpoint} ${context.pool}`, async () => {
      return (await read()) ?? keep(null, { id: await newId(login), ...rest });
    });

  /** Get credentials, for whoever it turns out to be. */
  async function renew() {
    for (let told = 0; told < TOLD_MAX; told++) {
      const note = await read();
      const login = await show(note?.kind === 'guest' ? note.id : null);
      if (!login && note?.kind === 'user') {
        throw new NoCredentials('The user has to sign in again.', { code: 'SignInNeeded' });
      }
      /** @type {Omit<Note, 'id'>} */
      const rest = { kind: login ? 'user' : 'guest', who: await whoIs(login) };
      // Kept before anything is done with it: a failure would make another one the next time.
      const known = note ?? (login?.identityId ? null : await first(login, rest));
      const isMine = known && (known.kind === 'guest' || (rest.who && rest.who === known.who));
      const id = login?.identityId ?? (isMine ? known.id : await newId(login));
      let answer;
      try {
        const params = { IdentityId: id, Logins: login?.logins };
        answer = await context.api.call('GetCredentialsForIdentity', params);
      } catch (error) {
        const isGone = error instanceof ApiError && error.code === 'ResourceNotFoundException';
        if (!isGone || !known || known.id !== id || login?.identityId) throw error;
        await keep(known, { id: await newId(login), ...rest }, true);
        continue;
      }
      return take(await keep(known, { id: text(answer.IdentityId), ...rest }), answer.Credentials);
    }
    throw new Unanswered('The identity kept changing.');
  }

  /** @param {Note} note @param {any} raw */
  function take({ id }, raw) {
    const expiresMs = Number(raw?.Expiration) * 1000;
    if (Number.isNaN(expiresMs)) throw unlike();
    const credentials = {
      accessKeyId: text(raw.AccessKeyId),
      secretAccessKey: text(raw.SecretKey),
      sessionToken: text(raw.SessionToken),
      expiresMs,
    };
    const lifeMs = Math.max(0, expiresMs - context.api.now());
    given = { id, credentials, renewMs: expiresMs - Math.min(EARLY_MS, lifeMs / 4) };
    return credentials;
  }

  return {
    attach(to) {
      context = to;
    },

    known: async () => (await read())?.id ?? null,

    async identityId() {
      let note = await read();
      if (!note) {
        await this.credentials().catch((error) => {
          throw withoutCredentials(error);
        });
        note = await read();
      }
      if (!note) throw new NoCredentials('The user has signed out.');
      return note.id;
    },

    async credentials(refused) {
      const now = given;
      const isGood = now && now.credentials !== refused && now.id === (await read())?.id;
      if (isGood && context.api.now() < now.renewMs) return now.credentials;
      renewal ??= renew().finally(() => (renewal = undefined));
      try {
        return await renewal;
      } catch (error) {
        const isLasting = isGood && context.api.now() < (now.credentials.expiresMs ?? 0);
        if (isLasting && now.id === (await read())?.id) return now.credentials;
        throw error;
      }
    },

    async forget() {
      await renewal?.catch(() => {});
      given = undefined;
      await context.put({ [NAME]: null });
    },
  };
}

/**
 * Say who a user is, as far as the tokens tell; nothing is verified, the server does that.
 *
 * @param {Login | null} login
 */
async function whoIs(login) {
  if (!login) return '';
  const names = [];
  for (const [provider, token] of Object.entries(login.logins)) {
    const { iss, sub } = claimsOf(token);
    if (typeof sub !== 'string') return '';
    names.push([provider, iss, sub]);
  }
  return sha256(JSON.stringify(names));
}

/** @param {string} token @returns {any} */
function claimsOf(token) {
  try {
    return JSON.parse(atob(token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/'))) ?? {};
  } catch {
    return {}; // it is no JWT; some providers have others
  }
}

/** @param {string | null} kept @returns {Note | null} */
function readNote(kept) {
  try {
    const { id, kind, who } = JSON.parse(kept ?? '');
    return typeof id === 'string' ? { id, kind: kind === 'user' ? 'user' : 'guest', who } : null;
  } catch {
    return null;
  }
}

/** @param {unknown} value @returns {string} */
function text(value) {
  if (typeof value !== 'string' || !value) throw unlike();
  return value;
}

const unlike = () => new Unanswered('Somebody else answered: it is no answer of this API.');
