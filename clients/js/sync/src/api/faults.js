/**
 * What can go wrong with a call. None of these holds a value, a token or a secret.
 *
 * @typedef {object} More
 * @property {unknown} [cause]
 * @property {number} [status]
 * @property {string} [requestId]
 * @property {number} [retryAfterMs] not before that, the server said
 * @property {string} [code]
 */

const TEXT_CHARS_MAX = 300;
const SERVER_ERROR_STATUS_MIN = 500;

/**
 * An error that the service told: the call was understood and refused. It has the published `code`, the
 * `status`, the `requestId`, `retryAfterMs` where the server said so, and `retryable`.
 */
export class ApiError extends Error {
  name = 'ApiError';

  /**
   * @param {string} code the published name, as `ResourceConflictException`
   * @param {string} message of the server
   * @param {More} [more]
   */
  constructor(code, message, { status = 400, requestId, retryAfterMs } = {}) {
    // What follows an empty line is the signed request, with its session token.
    super(message.split('\n\n')[0].slice(0, TEXT_CHARS_MAX) || code);
    this.code = code;
    this.status = status;
    this.requestId = requestId;
    this.retryAfterMs = retryAfterMs;
    /** Whether the same call may fare better later. */
    this.retryable = status === 429 || status >= SERVER_ERROR_STATUS_MIN;
  }
}

/** There is no answer of a server of this kind: the call was made, or was not. */
export class Unanswered extends Error {
  name = 'Unanswered';
  code = 'Unanswered';
  retryable = true;

  /**
   * @param {string} [message]
   * @param {More} [more]
   */
  constructor(message = 'What answered is no server of this API.', more = {}) {
    super(message, more);
    this.status = more.status;
    this.retryAfterMs = more.retryAfterMs;
  }
}

/** There are no credentials to make the call with. `code` `SignInNeeded`: the user is to sign in again. */
export class NoCredentials extends Error {
  name = 'NoCredentials';
  retryable = false;

  /**
   * @param {string} message
   * @param {More} [more] `code` `SignInNeeded`: the user is to sign in again
   */
  constructor(message, more = {}) {
    super(message, more);
    this.code = more.code ?? 'NoCredentials';
  }
}

/**
 * Whether it is one of these.
 *
 * @param {any} error
 * @returns {error is ApiError | Unanswered | NoCredentials}
 */
export const isFault = (error) => error?.retryable !== undefined;

/**
 * Read an error from wherever its code and its message stand. A page of some proxy is none.
 *
 * @param {Response} response
 * @returns {Promise<ApiError | Unanswered>}
 */
export async function readError(response) {
  const { status, headers } = response;
  const body = await response.json().catch(() => ({}));
  const retryAfterMs = Number(headers.get('retry-after')) * 1000 || undefined;
  const said = headers.get('x-amzn-errortype') ?? body?.__type;
  if (!said) return new Unanswered(undefined, { status, retryAfterMs });
  const requestId = headers.get('x-amzn-requestid') ?? undefined;
  const code = `${said}`.replace(/:.*|.*#/g, '');
  return new ApiError(code, `${body?.message ?? ''}`, { status, requestId, retryAfterMs });
}
