/**
 * Calls of the published APIs: Cognito Sync (REST) and Cognito Identity (JSON).
 *
 * A call is made again only where that is safe: when the server says that it did nothing (429,
 * 503), or when doing it twice is doing it once. UpdateRecords is of that kind, as long as it is
 * sent as it was. A clock that is wrong and credentials that have ended are mended once.
 */

import {
  ApiError,
  NoCredentials,
  Unanswered,
  readClock,
  readError,
  withoutCredentials,
} from './faults.js';
import { percentEncode, sign } from './sign.js';

/** @typedef {import('./sign.js').Credentials} Credentials */

/**
 * @typedef {object} ApiOptions
 * @property {string} endpoint the URL of the server; it may have a path
 * @property {string} region
 * @property {{ credentials(refused?: Credentials): Promise<Credentials> }} [credentials] who signs;
 *   told which ones were refused, it gives others when it can
 * @property {typeof globalThis.fetch} [fetch]
 * @property {() => number} [now] epoch milliseconds
 * @property {(ms: number, signal?: AbortSignal) => Promise<void>} [pause]
 * @property {number} [timeoutMs] of one attempt, its answer included
 *
 * @typedef {object} Built
 * @property {string} name of the operation
 * @property {string} method
 * @property {string} path
 * @property {string} query
 * @property {[string, string][]} headers
 * @property {string} body
 * @property {string} service
 * @property {boolean} signed
 * @property {boolean} repeatable whether doing it twice is doing it once
 *
 * @typedef {object} Used what the attempts of a call were signed with
 * @property {Credentials} [credentials] the last of them
 * @property {Credentials} [refused] those that the server knows no more
 */

const ATTEMPTS_MAX = 3;
const MENDS_MAX = 2; // the clock, and the credentials
const PAUSE_MS = 200; // after the first attempt; twice that after the next
const PAUSE_MS_MAX = 5000; // what has to wait longer is somebody else's to try again
const TIMEOUT_MS = 60_000;
const SKEW_MS_MIN = 60_000; // the server takes what is up to five minutes off

const POOL = '/identitypools/{IdentityPoolId}';
const IDENTITY = `${POOL}/identities/{IdentityId}`;
const DATASET = `${IDENTITY}/datasets/{DatasetName}`;
const SUBSCRIPTION = `${DATASET}/subscriptions/{DeviceId}`;
/** @type {Record<string, [method: string, path: string]>} */
const ROUTES = {
  ListRecords: ['GET', `${DATASET}/records`],
  UpdateRecords: ['POST', DATASET],
  DeleteDataset: ['DELETE', DATASET],
  DescribeDataset: ['GET', DATASET],
  ListDatasets: ['GET', `${IDENTITY}/datasets`],
  DescribeIdentityUsage: ['GET', IDENTITY],
  RegisterDevice: ['POST', `${POOL}/identity/{IdentityId}/device`],
  SubscribeToDataset: ['POST', SUBSCRIPTION],
  UnsubscribeFromDataset: ['DELETE', SUBSCRIPTION],
  GetLiveUpdates: ['GET', `${IDENTITY}/live`],
};
const UNSIGNED = new Set(['GetId', 'GetCredentialsForIdentity', 'GetOpenIdToken', 'UnlinkIdentity']);
const ENDED = new Set(['ExpiredTokenException', 'UnrecognizedClientException']);

/** @typedef {ReturnType<typeof createApi>} Api */

/**
 * @param {ApiOptions} options
 */
export function createApi({
  endpoint,
  region,
  credentials,
  fetch = globalThis.fetch,
  now = Date.now,
  pause = sleep,
  timeoutMs = TIMEOUT_MS,
}) {
  const url = checked(endpoint);
  let skewMs = 0;
  const serverNow = () => now() + skewMs;

  /** @param {number | undefined} serverMs @returns {boolean} whether that is news */
  function setClock(serverMs) {
    if (serverMs === undefined || Math.abs(serverMs - serverNow()) < SKEW_MS_MIN) return false;
    skewMs = serverMs - now();
    return true;
  }

  /**
   * @param {Built} request
   * @param {AbortSignal} signal
   * @param {Used} used
   */
  async function send(request, signal, used) {
    const headers = [...request.headers];
    if (request.signed) {
      try {
        if (!credentials) throw new Error('The API was made without credentials.');
        used.credentials = await credentials.credentials(used.refused);
      } catch (cause) {
        throw withoutCredentials(cause);
      }
      const how = { region, service: request.service, nowMs: serverNow() };
      const signable = { ...request, headers: withHost(headers, url.host) };
      headers.push(...(await sign(signable, used.credentials, how)));
    }
    const response = await fetch.call(globalThis, target(url, request), {
      method: request.method,
      headers,
      body: request.body || undefined,
      signal,
      redirect: 'error', // a portal would have us take its page for an answer
      cache: 'no-store',
      credentials: 'omit',
    });
    if (!request.signed) setClock(readClock(response));
    if (!response.ok) throw readError(response, await response.text());
    return response;
  }

  /**
   * Make one attempt and take its answer.
   *
   * @template T
   * @param {Built} request
   * @param {(response: Response) => Promise<T>} take
   * @param {AbortSignal | undefined} signal
   * @param {Used} used
   * @returns {Promise<T>}
   */
  async function attempt(request, take, signal, used) {
    const ending = new AbortController();
    const end = () => ending.abort();
    const timer = setTimeout(end, timeoutMs);
    signal?.addEventListener('abort', end);
    if (signal?.aborted) end();
    try {
      return await take(await send(request, ending.signal, used));
    } catch (cause) {
      if (isFault(cause)) throw cause;
      const why = ending.signal.aborted ? 'It took too long.' : 'The server could not be reached.';
      throw new Unanswered(signal?.aborted ? 'It was called off.' : why, { cause });
    } finally {
      clearTimeout(timer);
      // The end of a stream is still the caller's to say.
      if (take !== asItIs) signal?.removeEventListener('abort', end);
    }
  }

  /**
   * Mend what a refusal was for, so that the same call may fare better.
   *
   * @param {unknown} fault
   * @param {Used} used
   */
  function isMended(fault, used) {
    if (!(fault instanceof ApiError) || !used.credentials) return false;
    if (ENDED.has(fault.code)) used.refused = used.credentials;
    return used.refused === used.credentials
      || (/Signature|Skew|RequestExpired/.test(fault.code) && setClock(fault.serverMs));
  }

  /**
   * @template T
   * @param {string} name
   * @param {Record<string, any>} params
   * @param {(response: Response) => Promise<T>} take
   * @param {AbortSignal | undefined} signal
   * @returns {Promise<T>}
   */
  async function make(name, params, take, signal) {
    const request = build(url, name, params);
    /** @type {Used} */
    const used = {};
    let mends = 0;
    for (let attempts = 1; ; attempts++) {
      try {
        return await attempt(request, take, signal, used);
      } catch (fault) {
        if (signal?.aborted) throw fault;
        if (mends < MENDS_MAX && isMended(fault, used)) {
          mends++;
          attempts--;
          continue;
        }
        const wait = waitMs(fault, attempts, request.repeatable);
        if (attempts >= ATTEMPTS_MAX || wait === undefined) throw fault;
        await pause(wait, signal);
      }
    }
  }

  return {
    /** By the clock of the server, epoch milliseconds. */
    now: serverNow,

    /**
     * Make a call; members have their published names, on both sides.
     *
     * @param {string} name of the operation
     * @param {Record<string, any>} [params] a member that is null is left out
     * @param {{ signal?: AbortSignal }} [options]
     * @returns {Promise<any>}
     * @throws {ApiError | Unanswered | NoCredentials}
     */
    call: (name, params = {}, { signal } = {}) => make(name, params, readAnswer, signal),

    /**
     * Begin a call whose answer is a stream, to be read as it comes.
     *
     * @param {string} name
     * @param {Record<string, any>} params
     * @param {AbortSignal} signal ends the stream as well
     * @returns {Promise<Response>}
     */
    open: (name, params, signal) => make(name, params, asItIs, signal),
  };
}

/** @param {Response} response */
const asItIs = async (response) => response;

/** @param {Response} response */
async function readAnswer(response) {
  const text = await response.text();
  try {
    const answer = JSON.parse(text);
    if (answer && typeof answer === 'object') return answer;
  } catch {
    // not JSON
  }
  throw new Unanswered('Somebody else answered.', { status: response.status });
}

/** @param {unknown} cause */
const isFault = (cause) =>
  cause instanceof ApiError || cause instanceof Unanswered || cause instanceof NoCredentials;

/**
 * How long to wait before the next attempt, in milliseconds; undefined: there should be none.
 *
 * @param {unknown} fault
 * @param {number} attempts
 * @param {boolean} repeatable
 */
function waitMs(fault, attempts, repeatable) {
  if (!(fault instanceof ApiError || fault instanceof Unanswered) || !fault.retryable) return;
  if (!fault.nothingDone && !repeatable) return;
  if (globalThis.navigator?.onLine === false) return;
  const backoffMs = PAUSE_MS * 2 ** (attempts - 1);
  // Never before the server said; and not all devices at the same moment.
  const wait = (fault.retryAfterMs ?? 0) + backoffMs * (0.5 + Math.random() / 2);
  return wait > PAUSE_MS_MAX ? undefined : wait;
}

/** @param {string} endpoint */
function checked(endpoint) {
  const url = new URL(endpoint);
  if (!/^https?:$/.test(url.protocol) || url.username || url.search || url.hash) {
    throw new TypeError('The endpoint has to be an http(s) URL without user, query and fragment.');
  }
  return url;
}

/**
 * @param {URL} url
 * @param {string} name
 * @param {Record<string, any>} params
 * @returns {Built}
 */
function build(url, name, params) {
  const base = url.pathname.replace(/\/+$/, '');
  const route = ROUTES[name];
  const common = { name, query: '', body: '', signed: true };
  if (!route) {
    return {
      ...common,
      method: 'POST',
      path: `${base}/`,
      headers: [
        ['content-type', 'application/x-amz-json-1.1'],
        ['x-amz-target', `AWSCognitoIdentityService.${name}`],
      ],
      body: spell(params),
      service: 'cognito-identity',
      signed: !UNSIGNED.has(name),
      repeatable: name !== 'GetId' || Boolean(params.Logins), // each is a new guest
    };
  }
  const [method, template] = route;
  const { ClientContext: context, ...rest } = params;
  /** @type {[string, string][]} */
  const headers = method === 'POST' ? [['content-type', 'application/json']] : [];
  if (context) headers.push(['x-amz-client-context', context]);
  const path = template.replace(/{(\w+)}/g, (_, member) => {
    delete rest[member];
    return segment(member, params[member]);
  });
  return {
    ...common,
    method,
    path: base + path,
    query: method === 'GET' ? spellQuery(rest) : '',
    headers,
    body: method === 'POST' ? spell(rest) : '',
    service: 'cognito-sync',
    repeatable: name !== 'DeleteDataset', // somebody may have made it anew in between
  };
}

/** @param {string} member @param {unknown} value */
function segment(member, value) {
  // On the way '.' and '..' would become another path, percent-encoded or not.
  if (typeof value !== 'string' || /^\.{0,2}$/.test(value)) {
    throw new ApiError('InvalidParameterException', `${member} has no place in a path.`);
  }
  return percentEncode(value);
}

/** @param {Record<string, any>} params */
const spell = (params) => JSON.stringify(params, (_, value) => value ?? undefined);

/** @param {Record<string, any>} params */
const spellQuery = (params) =>
  Object.entries(params)
    .filter(([, value]) => value != null)
    .map(([name, value]) => `${name[0].toLowerCase()}${name.slice(1)}=${percentEncode(`${value}`)}`)
    .join('&');

/** @param {URL} url @param {Built} request */
const target = (url, { path, query }) => `${url.origin}${path}${query && `?${query}`}`;

/** @param {[string, string][]} headers @param {string} host @returns {[string, string][]} */
const withHost = (headers, host) => [...headers, ['host', host]];

/** @param {number} ms @param {AbortSignal} [signal] @returns {Promise<void>} */
function sleep(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}
