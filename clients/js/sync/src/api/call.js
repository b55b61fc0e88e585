/**
 * Calls of the published APIs: those of Cognito Sync (REST) that a synchronization makes, and
 * those of Cognito Identity (JSON) that are not signed.
 *
 * A call is made again only where that is safe: when the server says that it did nothing (429,
 * 503), or when doing it twice is doing it once. UpdateRecords is of that kind, as long as it is
 * sent as it was. A clock that is wrong and credentials that have ended are mended at once.
 */

import { ApiError, NoCredentials, Unanswered, isFault, readError } from './faults.js';
import { percentEncode, sign } from './sign.js';

/** @typedef {import('./sign.js').Credentials} Credentials */

/**
 * @typedef {object} ApiOptions where calls go, and who makes them
 * @property {string} endpoint the URL of the server; it may have a path
 * @property {string} region that signatures name
 * @property {{ credentials(refused?: Credentials): Promise<Credentials> }} [credentials] who signs;
 *   told which ones were refused, it gives others when it can
 * @property {typeof globalThis.fetch} [fetch] that of the page or of Node.js
 * @property {() => number} [now] epoch milliseconds
 * @property {(ms: number) => Promise<unknown>} [pause] waits; for tests
 * @property {number} [timeoutMs] of one attempt, its answer included
 *
 * @typedef {object} Call
 * @property {import('./sign.js').Signable} request
 * @property {boolean} signed
 * @property {boolean | undefined} repeatable whether doing it twice is doing it once
 * @property {(response: Response) => Promise<any>} take
 * @property {AbortSignal} [signal]
 * @property {Credentials} [keys] that it was signed with last
 * @property {Credentials} [refused] those that the server knows no more
 */

const ATTEMPTS_MAX = 3;
const MENDS_MAX = 2; // the clock, and the credentials
const PAUSE_MS = 200; // after the first attempt; twice that after the next
const PAUSE_MS_MAX = 5000; // what has to wait longer is somebody else's to try again
const TIMEOUT_MS = 60_000;
const SKEW_MS_MIN = 60_000; // the server takes what is up to five minutes off

const IDENTITY = '/identitypools/{IdentityPoolId}/identities/{IdentityId}';
const DATASETS = `${IDENTITY}/datasets`;
const DATASET = `${DATASETS}/{DatasetName}`;
/** @type {Record<string, [method: string, path: string]>} */
const ROUTES = {
  ListRecords: ['GET', `${DATASET}/records`],
  UpdateRecords: ['POST', DATASET],
  DeleteDataset: ['DELETE', DATASET],
  ListDatasets: ['GET', DATASETS],
  GetLiveUpdates: ['GET', `${IDENTITY}/live`],
};

/** @typedef {ReturnType<typeof createApi>} Api */

/**
 * Make calls of the API, one at a time and without anything that is kept: signed, tried again where that
 * does no harm, and with the clock of the server. Apps that have datasets need none of it.
 *
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
  const url = new URL(endpoint);
  if (!/^https?:$/.test(url.protocol) || url.username || url.search || url.hash) {
    throw new TypeError('The endpoint has to be an http(s) URL without user, query and fragment.');
  }
  let skewMs = 0;
  const serverNow = () => now() + skewMs;

  /** @param {Response} response @returns {boolean} whether what it says of the time is news */
  function setClock({ headers }) {
    const at = Date.parse(headers.get('date') ?? '');
    const isNews = Math.abs(at - serverNow()) > SKEW_MS_MIN;
    if (isNews) skewMs = at - now();
    return isNews;
  }

  /** @param {Call} call @param {AbortSignal} signal */
  async function send(call, signal) {
    const { request, signed, refused } = call;
    const headers = [...request.headers];
    if (signed) {
      try {
        call.keys = await /** @type {any} */ (credentials).credentials(refused);
      } catch (cause) {
        throw cause instanceof ApiError || !isFault(cause) ? withoutKeys(cause) : cause;
      }
      const keys = /** @type {Credentials} */ (call.keys);
      headers.push(...(await sign(request, url.host, keys, region, serverNow())));
    }
    const response = await fetch.call(
      globalThis,
      url.origin + request.path + (request.query && `?${request.query}`),
      {
        method: request.method,
        headers,
        body: request.body || undefined,
        signal,
        redirect: 'error', // a portal would have us take its page for an answer
        cache: 'no-store',
        credentials: 'omit',
      },
    );
    if (response.ok) {
      if (!signed) setClock(response);
      return call.take(response);
    }
    const fault = await readError(response);
    throw Object.assign(fault, { isMended: isMended(call, fault, response) });
  }

  /** Mend what a refusal was for. @param {Call} call @param {any} fault @param {Response} response */
  function isMended(call, { code }, response) {
    if (/^(ExpiredToken|UnrecognizedClient)/.test(code)) call.refused = call.keys;
    else if (!/Signature|Skew|RequestExpired/.test(code)) return false;
    return (call.keys && call.refused === call.keys) || setClock(response);
  }

  /** @param {Call} call */
  async function attempt(call) {
    const { signal, take } = call;
    const ending = new AbortController();
    const end = () => ending.abort();
    const timer = setTimeout(end, timeoutMs);
    signal?.addEventListener('abort', end);
    try {
      if (signal?.aborted) end();
      return await send(call, ending.signal);
    } catch (cause) {
      throw isFault(cause) ? cause : new Unanswered('There was no answer.', { cause });
    } finally {
      clearTimeout(timer);
      // The end of a stream is still the caller's to say.
      if (take !== asItIs) signal?.removeEventListener('abort', end);
    }
  }

  /**
   * @param {string} name
   * @param {Record<string, any>} params
   * @param {(response: Response) => Promise<any>} take
   * @param {AbortSignal} [signal]
   */
  async function make(name, params, take, signal) {
    const call = build(url, name, params, take, signal);
    let mends = 0;
    for (let attempts = 1; ; ) {
      try {
        return await attempt(call);
      } catch (/** @type {any} */ fault) {
        if (signal?.aborted) throw fault;
        if (fault.isMended && mends++ < MENDS_MAX) continue;
        const { retryable, status, retryAfterMs = 0 } = fault;
        const isSafe = retryable && (call.repeatable || status === 429 || status === 503);
        // Never before the server said; and not all devices at the same moment.
        const ms = retryAfterMs + PAUSE_MS * 2 ** attempts * (0.25 + Math.random() / 4);
        if (!isSafe || attempts++ >= ATTEMPTS_MAX || ms > PAUSE_MS_MAX) throw fault;
        await pause(ms);
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
  const answer = await response.json().catch(() => null);
  if (!answer || typeof answer !== 'object') throw new Unanswered();
  return answer;
}

/** The words of an app stay its own. @param {any} cause */
const withoutKeys = (cause) =>
  new NoCredentials(`There are no credentials: ${isFault(cause) ? cause.code : 'see the cause'}.`, {
    cause,
  });

/**
 * @param {URL} url
 * @param {string} name
 * @param {Record<string, any>} params
 * @param {Call['take']} take
 * @param {AbortSignal} [signal]
 * @returns {Call}
 */
function build(url, name, params, take, signal) {
  const signed = name in ROUTES;
  const [method, template] = signed ? ROUTES[name] : ['POST', '/'];
  const { ClientContext: context, ...rest } = params;
  const path = template.replace(/{(\w+)}/g, (_, member) => {
    delete rest[member];
    return segment(member, params[member]);
  });
  const hasBody = method === 'POST';
  /** @type {[string, string][]} */
  const headers = hasBody ? [['content-type', 'application/x-amz-json-1.1']] : [];
  if (context) headers.push(['x-amz-client-context', context]);
  if (!signed) headers.push(['x-amz-target', `AWSCognitoIdentityService.${name}`]);
  const request = {
    method,
    path: url.pathname.replace(/\/+$/, '') + path,
    query: hasBody ? '' : spellQuery(rest),
    headers,
    body: hasBody ? JSON.stringify(rest, (_, value) => value ?? undefined) : '',
  };
  // Each GetId is a new guest; and somebody may have made a dataset anew in between.
  const repeatable = name === 'GetId' ? params.Logins : name !== 'DeleteDataset';
  return { request, signed, repeatable, take, signal };
}

/** @param {string} member @param {string} value */
function segment(member, value) {
  // On the way '.' and '..' would become another path, percent-encoded or not.
  if (/^\.{0,2}$/.test(value ?? '')) {
    throw new ApiError('InvalidParameterException', `${member} has no place in a path.`);
  }
  return percentEncode(value);
}

/** @param {Record<string, any>} params */
const spellQuery = (params) =>
  Object.entries(params)
    .filter(([, value]) => value != null)
    .map(([name, value]) => `${name[0].toLowerCase()}${name.slice(1)}=${percentEncode(`${value}`)}`)
    .join('&');

/** @param {number} ms */
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
