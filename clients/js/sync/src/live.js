/**
 * Live updates: the server says which datasets have changed, as they do (GetLiveUpdates).
 *
 * A stream that ends is begun again from the last event on, so that nothing is missed. Where
 * there are no live updates (an older server, a proxy that holds them back, too many who listen)
 * whoever listens is told to ask, from time to time, while the stream is tried again.
 */

import { Unanswered } from './api/faults.js';

const EVERYTHING = 'none'; // an id that no event had: every dataset is told of
const PAUSE_MS = 1000; // unless the server says another one; twice that each time
const PAUSE_MS_MAX = 30_000;
const SILENCE_MS_MAX = 60_000; // the server says something every 15 seconds
const LINE_CHARS_MAX = 65_536;

/**
 * @typedef {object} Listening
 * @property {import('./api/call.js').Api} api
 * @property {string} pool
 * @property {string} identityId
 * @property {(dataset: string, syncCount: number) => void} onUpdate a dataset has come to a count;
 *   each one is told of at first
 * @property {() => void} onAsk nobody tells of changes for the time being
 * @property {(isLive: boolean) => void} onState
 * @property {number} [silenceMs]
 */

/**
 * Listen until it is stopped.
 *
 * @param {Listening} listening
 */
export function listen({ api, pool, identityId, onUpdate, onAsk, onState, silenceMs }) {
  let stopped = false;
  let end = () => {};
  let hurry = () => {};

  /** Read one stream to its end. @param {(message: Message) => void} hear */
  async function read(hear, LastEventId = EVERYTHING) {
    const ending = new AbortController();
    end = () => ending.abort();
    try {
      const ids = { IdentityPoolId: pool, IdentityId: identityId, LastEventId };
      const response = await api.open('GetLiveUpdates', ids, ending.signal);
      await readMessages(response, hear, end, silenceMs);
    } finally {
      end(); // what is left of it
    }
  }

  (async () => {
    /** @type {string | undefined} */
    let last;
    let firstMs = PAUSE_MS;
    let waitMs = 0;
    while (!stopped) {
      let isLive = false;
      const fault = await read(({ id, retry, update }) => {
        if (!isLive) onState((isLive = true));
        waitMs = 0;
        last = id ?? last;
        firstMs = retry || firstMs;
        if (update) onUpdate(update.datasetName, update.syncCount);
      }, last).catch((error) => error);
      if (stopped) return;
      onState(false);
      if (!isLive) onAsk();
      waitMs = Math.min(waitMs * 2 || firstMs, PAUSE_MS_MAX);
      const ms = Math.max(waitMs * (0.5 + Math.random() / 2), fault?.retryAfterMs ?? 0);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        hurry = () => (clearTimeout(timer), resolve(null));
      });
    }
  })();

  return {
    /** Try again now, if it waits: the device is online again, or somebody looks at it. */
    hurry: () => hurry(),
    stop() {
      stopped = true;
      end();
      hurry();
    },
  };
}

/**
 * Read server-sent events; one that was cut off is none.
 *
 * Source: WHATWG HTML, server-sent events, 9.2.6.
 *
 * @param {Response} response
 * @param {(message: Message) => void} hear
 * @param {() => void} end of a stream that has gone silent
 * @param {number} [silenceMs]
 *
 * @typedef {object} Message
 * @property {string} [id]
 * @property {number} retry NaN where nothing is said of it
 * @property {{ datasetName: string, syncCount: number } | null} update
 */
async function readMessages({ headers, body }, hear, end, silenceMs = SILENCE_MS_MAX) {
  if (!body || !headers.get('content-type')?.startsWith('text/event-stream')) throw new Unanswered();
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  /** @type {Record<string, string>} */
  let fields = {};
  while (rest.length < LINE_CHARS_MAX) {
    const timer = setTimeout(end, silenceMs);
    const { done, value } = await reader.read().finally(() => clearTimeout(timer));
    if (done) return;
    // A '\r' at the end may be the first half of a line's end.
    const lines = (rest + decoder.decode(value, { stream: true })).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line) {
        const [, name, text] = /^([^:]*):? ?(.*)/.exec(line) ?? [];
        fields[name] = name === 'data' && fields.data ? `${fields.data}\n${text}` : text;
      } else {
        const { id, data, retry } = fields;
        fields = {};
        hear({ id, retry: +retry, update: readUpdate(data) });
      }
    }
  }
}

/** @param {string} [data] */
function readUpdate(data = '') {
  try {
    const update = JSON.parse(data);
    return update.datasetName && Number.isInteger(update.syncCount) ? update : null;
  } catch {
    return null;
  }
}
