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
 * @param {() => Promise<Failure | null>} run sends what there is to be sent, and says what kept it
 *   from that, if something did; it is never called while it runs
 * @param {() => void} onWake the device is online again, or somebody looks
 * @param {Events} [window]
 * @param {Events & { visibilityState: string }} [document]
 */
export function createWake(
  run,
  onWake,
  window = globalThis.window,
  document = globalThis.document,
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
    const ms = Math.max(0, dueMs - performance.now()); // somebody said so meanwhile
    dueMs = Infinity;
    if (failure) fail(failure);
    else {
      failures = 0;
      if (ms < Infinity) wait(ms);
    }
  }

  /** @param {Failure} failure */
  function fail({ retryable, retryAfterMs = 0 }) {
    const most = retryable === false ? PAUSE_MS_MAX : PAUSE_MS * 2 ** failures++;
    // Not before the server said; and not all devices at the same moment.
    wait(retryAfterMs + Math.min(most, PAUSE_MS_MAX) * (0.5 + Math.random() / 2));
  }

  const look = () => document.visibilityState === 'visible' && wake();
  function wake() {
    failures = 0;
    onWake();
    if (dueMs < Infinity) wait(0);
  }
  window?.addEventListener('online', wake);
  document?.addEventListener('visibilitychange', look);

  return {
    /** There is something to send: in so many milliseconds, or earlier. */
    soon: (ms = 0) => wait(ms),

    /** Something that is to be sent was not, by somebody else's attempt. @param {Failure} failure */
    failed: (failure) => void (running || fail(failure)),

    close() {
      closed = true;
      clearTimeout(timer);
      window?.removeEventListener('online', wake);
      document?.removeEventListener('visibilitychange', look);
    },
  };
}
