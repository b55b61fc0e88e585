/**
 * What can go wrong with a call. None of these holds a value, a token or a secret.
 */

const TEXT_CHARS_MAX = 300;
/** The server says so before it has done anything, so that the call may be made again. */
const NOTHING_DONE = new Set([429, 503]);
const SERVER_ERROR_STATUS_MIN = 500;

/** An error that the service told: the call was understood and refused. */
export class ApiError extends Error {
  /**
   * @param {string} code the published name, as `ResourceConflictException`
   * @param {string} message of the server
   * @param {{ status?: number, requestId?: string, retryAfterMs?: number, serverMs?: number }} [more]
   */
  constructor(code, message, { status = 400, requestId, retryAfterMs, serverMs } = {}) {
    // What follows an empty line is the signed request, with its session token.
    super(message.split('\n\n')[0].slice(0, TEXT_CHARS_MAX) || code);
    this.name = 'ApiError';
    this.code = code;
    this.status = status;
    this.requestId = requestId;
    this.retryAfterMs = retryAfterMs;
    /** When the server said it, by its clock. */
    this.serverMs = serverMs;
    this.nothingDone = NOTHING_DONE.has(status);
    /** Whether the same call may fare better later. */
    this.retryable = this.nothingDone || status >= SERVER_ERROR_STATUS_MIN;
  }
}

/** There is no answer of a server of this kind: the call was made, or was not. */
export class Unanswered extends Error {
  /**
   * @param {string} message
   * @param {{ cause?: unknown, status?: number, retryAfterMs?: number }} [more]
   */
  constructor(message, { cause, status, retryAfterMs } = {}) {
    super(message, { cause });
    this.name = 'Unanswered';
    this.code = 'Unanswered';
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.nothingDone = status !== undefined && NOTHING_DONE.has(status);
    this.retryable = true;
  }
}

/** There are no credentials to make the call with. */
export class NoCredentials extends Error {
  /**
   * @param {string} message
   * @param {{ cause?: unknown, code?: string }} [more] `SignInNeeded`: the user is to sign in again
   */
  constructor(message, { cause, code = 'NoCredentials' } = {}) {
    super(message, { cause });
    this.name = 'NoCredentials';
    this.code = code;
    this.nothingDone = true;
    this.retryable = false;
  }
}

/**
 * Whatever kept credentials from being had, as a fault; the words of an app stay its own.
 *
 * @param {unknown} cause
 */
export function withoutCredentials(cause) {
  if (cause instanceof Unanswered || cause instanceof NoCredentials) return cause;
  const code = cause instanceof ApiError ? `: ${cause.code}` : '';
  return new NoCredentials(`There are no credentials${code}.`, { cause });
}

/**
 * Read an error from wherever its code and its message stand. A page of some proxy is none.
 *
 * @param {Response} response
 * @param {string} text its body
 * @returns {ApiError | Unanswered}
 */
export function readError(response, text) {
  /** @type {any} */
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  const { status, headers } = response;
  const seconds = Number(headers.get('retry-after') ?? NaN);
  const retryAfterMs = seconds >= 0 ? seconds * 1000 : undefined;
  const said = headers.get('x-amzn-errortype') ?? body?.__type ?? body?.code;
  if (typeof said !== 'string') {
    return new Unanswered(`Somebody else answered, with status ${status}.`, { status, retryAfterMs });
  }
  const code = said.split(':')[0].split('#').pop() ?? '';
  const message = String(body?.message ?? body?.Message ?? '');
  const requestId = headers.get('x-amzn-requestid') ?? undefined;
  return new ApiError(code, message, {
    status,
    requestId,
    retryAfterMs,
    serverMs: readClock(response, message),
  });
}

/**
 * What the clock of the server is: in the words of an error about it, else in the header.
 *
 * @param {Response} response
 * @param {string} [message]
 * @returns {number | undefined} epoch milliseconds
 */
export function readClock(response, message = '') {
  const told = /\((\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z [+-]/.exec(message);
  const [year, month, ...rest] = (told ?? []).slice(1).map(Number);
  const found = told
    ? Date.UTC(year, month - 1, ...rest)
    : Date.parse(response.headers.get('date') ?? '');
  return Number.isNaN(found) ? undefined : found;
}
