/**
 * One timer for all that has to be sent, and has not been.
 *
 * No number of failures ends it. The pauses grow to five minutes; a device that is online again,
 * a page that somebody looks at and whoever says `soon` end a pause.
 */

const PAUSE_MS = 1000; // after the first failure; twice that after each further one
const PAUSE_MS_MAX = 300_000;

/**
 * @typedef {Pick<EventTarget, 'addEventListener' | 'removeEventListener'>} Events
 *
 * @typedef {object} Failure
 * @property {boolean} [retryable] false: it takes more than time
 * @property {number} [retryAfterMs]
 */

/**
 * @param {() => Promise<Failure | null | undefined>} run sends what there is to be sent, and says
 *   what kept it from that, if something did; it is never called while it runs
 * @param {{ onWake?: () => void, window?: Events, document?: Events & { visibilityState: string } }} [around]
 *   `onWake`: the device is online again, or somebody looks
 */
export function createWake(
  run,
  { onWake = () => {}, window = globalThis.window, document = globalThis.document } = {},
) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let dueMs = Infinity;
  let failures = 0;
  let running = false;
  let closed = false;

  /** @param {number} ms */
  function wait(ms) {
    const atMs = performance.now() + ms;
    if (closed || atMs >= dueMs) return;
    clearTimeout(timer);
    dueMs = atMs;
    if (running) return; // when it is done
    timer = setTimeout(start, ms);
    // A program is not kept from its end: what was not sent is stored.
    /** @type {any} */ (timer).unref?.();
  }

  async function start() {
    dueMs = Infinity;
    running = true;
    const failure = await run().catch((/** @type {Failure} */ error) => error);
    running = false;
    failures = failure ? failures + 1 : 0;
    const again = dueMs; // somebody said so meanwhile
    dueMs = Infinity;
    if (failure) wait(pauseMs(failure, failures));
    else if (again < Infinity) wait(Math.max(0, again - performance.now()));
  }

  function wake() {
    failures = 0;
    onWake();
    if (timer !== undefined && dueMs < Infinity) wait(0);
  }
  const look = () => document.visibilityState === 'visible' && wake();
  window?.addEventListener('online', wake);
  document?.addEventListener('visibilitychange', look);

  return {
    /** There is something to send: in so many milliseconds, or earlier. */
    soon(ms = 0) {
      wait(ms);
    },
    /** Something that is to be sent was not, by somebody else's attempt. @param {Failure} failure */
    failed(failure) {
      if (!running) wait(pauseMs(failure, ++failures));
    },
    /** Whether something is to be sent again. */
    get waiting() {
      return dueMs < Infinity;
    },
    close() {
      closed = true;
      clearTimeout(timer);
      window?.removeEventListener('online', wake);
      document?.removeEventListener('visibilitychange', look);
    },
  };
}

/** @param {Failure} failure @param {number} failures */
function pauseMs({ retryable, retryAfterMs = 0 }, failures) {
  const ms = retryable === false ? PAUSE_MS_MAX : PAUSE_MS * 2 ** Math.min(failures - 1, 20);
  // Not before the server said; and not all devices at the same moment.
  return retryAfterMs + Math.min(ms, PAUSE_MS_MAX) * (0.5 + Math.random() / 2);
}
