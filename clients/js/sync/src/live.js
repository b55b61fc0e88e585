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
 * @property {(isLive: boolean) => void} [onState]
 * @property {number} [silenceMs]
 */

/**
 * Listen until it is stopped.
 *
 * @param {Listening} listening
 */
export function listen(listening) {
  const stopping = new AbortController();
  let hurry = () => {};
  void follow(listening, stopping.signal, (ms) => {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      hurry = () => (clearTimeout(timer), resolve(undefined));
    });
  });
  return {
    /** Try again now, if it waits: the device is online again, or somebody looks at it. */
    hurry: () => hurry(),
    stop() {
      stopping.abort();
      hurry();
    },
  };
}

/**
 * @param {Listening} listening
 * @param {AbortSignal} stopped
 * @param {(ms: number) => Promise<unknown>} pause
 */
async function follow(listening, stopped, pause) {
  const { api, pool, identityId, onUpdate, onAsk, onState = () => {}, silenceMs } = listening;
  let last = EVERYTHING;
  let firstMs = PAUSE_MS;
  let waitMs = 0;
  while (!stopped.aborted) {
    const ending = new AbortController();
    const end = () => ending.abort();
    stopped.addEventListener('abort', end);
    let isLive = false;
    let afterMs = 0;
    try {
      const ids = { IdentityPoolId: pool, IdentityId: identityId, LastEventId: last };
      const response = await api.open('GetLiveUpdates', ids, ending.signal);
      for await (const message of messagesOf(response, end, silenceMs)) {
        if (!isLive) onState((isLive = true));
        waitMs = 0;
        last = message.id ?? last;
        firstMs = message.retry ?? firstMs;
        const update = readUpdate(message.data);
        if (update) onUpdate(update.datasetName, update.syncCount);
      }
    } catch (error) {
      afterMs = /** @type {Unanswered} */ (error).retryAfterMs ?? 0;
    }
    end(); // what is left of the stream
    stopped.removeEventListener('abort', end);
    if (stopped.aborted) return;
    onState(false);
    if (!isLive) onAsk();
    waitMs = Math.min(waitMs ? waitMs * 2 : firstMs, PAUSE_MS_MAX);
    await pause(Math.max(waitMs * (0.5 + Math.random() / 2), afterMs));
  }
}

/**
 * Read server-sent events; one that was cut off is none.
 *
 * Source: WHATWG HTML, server-sent events, 9.2.6.
 *
 * @param {Response} response
 * @param {() => void} end of a stream that has gone silent
 * @param {number} [silenceMs]
 */
async function* messagesOf(response, end, silenceMs = SILENCE_MS_MAX) {
  if (!/^text\/event-stream\b/i.test(response.headers.get('content-type') ?? '')) {
    throw new Unanswered('Somebody else answered: these are no live updates.');
  }
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const decoder = new TextDecoder();
  let rest = '';
  /** @type {Record<string, string>} */
  let fields = {};
  for (;;) {
    const timer = setTimeout(end, silenceMs);
    const { done, value } = await reader.read().finally(() => clearTimeout(timer));
    if (done) return;
    rest += decoder.decode(value, { stream: true });
    if (rest.length > LINE_CHARS_MAX) throw new Unanswered('A line never ends.');
    // A '\r' at the end may be the first half of a line's end.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line) {
        const [, name, text = ''] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
        fields[name] = name === 'data' && fields.data ? `${fields.data}\n${text}` : text;
        continue;
      }
      const { id, data, retry } = fields;
      fields = {};
      yield { id, data, retry: /^\d{1,5}$/.test(retry) ? Number(retry) : undefined };
    }
  }
}

/** @param {string | undefined} data @returns {{ datasetName: string, syncCount: number } | null} */
function readUpdate(data) {
  try {
    const update = JSON.parse(data ?? 'null');
    const isUpdate = typeof update?.datasetName === 'string' && Number.isInteger(update.syncCount);
    return isUpdate ? update : null;
  } catch {
    return null;
  }
}
