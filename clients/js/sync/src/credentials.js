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

import { ApiError, NoCredentials, Unanswered } from './api/faults.js';
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
 * @typedef {object} Provider says who it is; an app may have one of its own
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

/** Be a guest, the same one as long as the storage keeps the id. @returns {Provider} */
export const guest = () => users(async () => null);

/**
 * Be the user of an OpenID Connect provider; a guest until there is a token.
 *
 * @param {string} provider its name in `Logins`, such as `accounts.google.com`
 * @param {() => string | null | undefined | Promise<string | null | undefined>} token gives the ID
 *   token that counts now, or nothing while nobody has signed in; asked at each renewal
 * @returns {Provider}
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
 * @returns {Provider}
 *
 * @typedef {{ identityId: string, token: string } | null | undefined} BackendToken of whom the
 *   backend says that it is, and what it was given for them; nothing: nobody has signed in
 */
export const developerToken = (token) =>
  users(async (guestId) => {
    const found = await token(guestId);
    return found ? { logins: { [OF_DEVELOPER]: found.token }, identityId: found.identityId } : null;
  });

/**
 * Call for an identity with credentials as they are: a developer's key, or somebody's else.
 *
 * @param {Credentials & { identityId: string }} given an access key, its secret, the session token
 *   of temporary ones, and whose data it is
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
  /** @type {{ id: string, keys: Credentials, renewMs: number } | undefined} */
  let given;
  /** @type {Promise<Credentials> | undefined} */
  let renewal;

  const read = async () => readNote(await context.get(NAME));

  /** @param {Login['logins']} [Logins] */
  const newId = async (Logins) =>
    text((await context.api.call('GetId', { IdentityPoolId: context.pool, Logins })).IdentityId);

  /**
   * Keep whose the app is now. What was somebody's that became part of it follows first.
   *
   * @param {Note | null} before
   * @param {Note} after
   * @param {boolean} [gone] the identity before is not there any more
   */
  async function keep(before, after, gone) {
    if (before && before.id !== after.id && (gone || isOpen(before, after))) {
      await context.merged(before.id, after.id);
    }
    const note = JSON.stringify(after);
    if (JSON.stringify(before) !== note) await context.put({ [NAME]: note });
    return after;
  }

  /** Get credentials, for whoever it turns out to be. @param {number} told @returns {Promise<Credentials>} */
  async function renew(told = 0) {
    let note = await read();
    const login = await show(note?.kind === 'guest' ? note.id : null);
    if (!login && note?.kind === 'user') {
      throw new NoCredentials('The user has to sign in again.', { code: 'SignInNeeded' });
    }
    const { logins: Logins, identityId } = login ?? {};
    /** @type {Omit<Note, 'id'>} */
    const rest = { kind: login ? 'user' : 'guest', who: await whoIs(Logins) };
    // Kept before anything is done with it: a failure would make another one the next time. Of
    // several tabs that begin together, all take the first one's.
    const first = async () => (await read()) ?? keep(null, { id: await newId(Logins), ...rest });
    if (!identityId) note ??= await exclusive(`millpond ${context.pool} identity`, first);
    const isMine = note && isOpen(note, rest);
    const IdentityId = identityId ?? (isMine ? note?.id : await newId(Logins));
    try {
      const params = { IdentityId, Logins };
      const answer = await context.api.call('GetCredentialsForIdentity', params);
      return take(await keep(note, { id: text(answer.IdentityId), ...rest }), answer.Credentials);
    } catch (error) {
      const isGone = error instanceof ApiError && error.code === 'ResourceNotFoundException';
      if (!isGone || identityId || note?.id !== IdentityId || told > TOLD_MAX) throw error;
    }
    await keep(note, { id: await newId(Logins), ...rest }, true);
    return renew(told + 1);
  }

  /** @param {Note} note @param {any} raw */
  function take({ id }, raw) {
    const expiresMs = raw?.Expiration * 1000;
    if (!(expiresMs > 0)) throw new Unanswered();
    const keys = {
      accessKeyId: text(raw.AccessKeyId),
      secretAccessKey: text(raw.SecretKey),
      sessionToken: text(raw.SessionToken),
      expiresMs,
    };
    const lifeMs = Math.max(0, expiresMs - context.api.now());
    given = { id, keys, renewMs: expiresMs - Math.min(EARLY_MS, lifeMs / 4) };
    return keys;
  }

  return {
    attach(to) {
      context = to;
    },

    known: async () => (await read())?.id ?? null,

    async identityId() {
      const known = await this.known();
      if (known) return known;
      await this.credentials();
      return text(await this.known());
    },

    async credentials(refused) {
      const { api } = context;
      const last = given;
      const isGood = last && last.keys !== refused && last.id === (await read())?.id;
      if (isGood && api.now() < last.renewMs) return last.keys;
      renewal ??= renew().finally(() => (renewal = undefined));
      return renewal.catch((error) => {
        // They last a while yet.
        if (isGood && last === given && api.now() < (last.keys.expiresMs ?? 0)) return last.keys;
        throw error;
      });
    },

    async forget() {
      await renewal?.catch(() => {});
      given = undefined;
      await context.put({ [NAME]: null });
    },
  };
}

/**
 * Whether an identity is open to somebody: a guest's is, and one's own.
 *
 * @param {Note} note
 * @param {Omit<Note, 'id'>} somebody
 */
const isOpen = (note, { who }) => note.kind === 'guest' || (who && who === note.who);

/**
 * Say who a user is, as far as the tokens tell; nothing is verified, the server does that.
 *
 * @param {Login['logins']} [logins]
 */
async function whoIs(logins) {
  if (!logins) return '';
  try {
    const names = Object.entries(logins).map(([provider, token]) => {
      const { iss, sub } = JSON.parse(atob(token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/')));
      return [provider, iss, sub.trim()];
    });
    return await sha256(JSON.stringify(names));
  } catch {
    return ''; // it is no JWT; some providers have others
  }
}

/** @param {string | null} kept @returns {Note | null} */
function readNote(kept) {
  try {
    const note = JSON.parse(kept ?? '');
    return typeof note.id === 'string' ? note : null;
  } catch {
    return null;
  }
}

/** @param {unknown} value @returns {string} */
function text(value) {
  if (typeof value !== 'string' || !value) throw new Unanswered();
  return value;
}
