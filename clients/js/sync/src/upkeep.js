/**
 * What happens by itself: a synchronization that failed is made again, a dataset that is watched
 * is kept in step, and tabs hear of what the others do.
 *
 * `due` has the datasets that are to be synchronized, and since when. One timer goes through
 * them (`wake.js`). Of several tabs the one that leads does it for all datasets that it has open
 * itself, for a merge is the app's; it also listens to live updates, and tells the others.
 *
 *     changed   a dataset was stored: read it again
 *     due       a dataset is to be synchronized: by who leads
 *     leads     what who leads has open, and so takes care of
 *     who       who leads?
 *     watching  somebody watches, so who leads is to listen
 *     live      a dataset has come to a sync count
 *     ask       nobody tells of changes for the time being
 *     moved     the identity is another one
 */

import { listen } from './live.js';
import { canAgree, openTabs } from './tabs.js';
import { createWake } from './wake.js';

/** @typedef {import('./dataset.js').Dataset} Dataset */
/** @typedef {import('./wake.js').Failure} Failure */

/**
 * @typedef {object} Kept what it takes care of
 * @property {string} name shared by all tabs that have the same storage
 * @property {string} pool
 * @property {import('./api/call.js').Api} api
 * @property {ReadonlyMap<string, { dataset: Dataset }>} datasets that are open here
 * @property {() => Promise<unknown>} move look who it is now
 */

const WRITES_MS = 200; // writes that follow each other go out together
const HELP_MS = 10_000; // a browser may have frozen who leads, in the background
const ignore = () => {}; // whoever uses it is told

/** @param {Kept} kept */
export function createUpkeep({ name: shared, pool, api, datasets, move }) {
  let identity = '';
  /** @type {ReturnType<typeof openTabs> | undefined} */
  let tabs;
  /** @type {ReturnType<typeof listen> | undefined} */
  let live;
  let isLive = false;
  let othersWatch = false;
  /** @type {Map<string, number>} by name, when it became so; by a clock that never goes back */
  const due = new Map();
  /** The names of the datasets that are watched, each as often as it is. @type {string[]} */
  const watched = [];
  /** What who leads takes care of. @type {string[]} */
  let led = [];
  /** What this tab does itself the next time, whoever leads. @type {Set<string>} */
  const own = new Set();
  const wake = createWake(run, () => {
    if (live) live.hurry();
    else watched.forEach(wantOwn);
  });

  /** @param {string} name */
  const find = (name) => datasets.get(name)?.dataset;

  /** @param {string} name @param {number} [ms] */
  function want(name, ms) {
    due.set(name, performance.now());
    wake.soon(ms);
  }

  /** @param {string} name */
  function wantOwn(name) {
    own.add(name);
    want(name);
  }

  /** Send what an earlier run, or a guest, has left unsent. @param {Dataset} dataset */
  function send(dataset) {
    dataset.copy().then(({ sent, deleting, records }) => {
      const isUnsent = [...records.values()].some((each) => each.dirty && !each.refused);
      if (!sent && !deleting && !isUnsent) return;
      if (!due.has(dataset.name)) due.set(dataset.name, 0); // one that is under way sends it too
      wake.soon();
    }, ignore);
  }

  /** Synchronize what is due, one dataset after the other. @returns {Promise<Failure | null>} */
  async function run() {
    /** @type {Failure | null} */
    let failure = null;
    for (const name of [...due.keys()]) {
      const dataset = find(name);
      const isLed = !own.delete(name) && !tabs?.leading && led.includes(name);
      if (isLed || !dataset) due.delete(name);
      else await dataset.sync().catch((error) => (failure = asFailure(error)));
      if (isLed && dataset) handOver(dataset);
    }
    return failure;
  }

  /** Have a dataset synchronized by who leads, and look after it. @param {Dataset} dataset */
  function handOver(dataset) {
    tabs?.post({ due: dataset.name });
    const timer = setTimeout(() => {
      own.add(dataset.name);
      send(dataset);
    }, HELP_MS);
    /** @type {any} */ (timer).unref?.(); // a program may end
  }

  const sendAll = () => datasets.forEach(({ dataset }) => send(dataset));

  /** Whoever led before may have been asked to send something, and be gone. */
  function takeOver() {
    lead();
    sendAll();
  }

  function lead() {
    if (!tabs?.leading) return;
    led = [];
    tabs.post({ leads: [...datasets.keys()] });
    follow();
  }

  /** Listen, if anybody watches and it is on this tab to do so; send what is due. */
  function follow() {
    if (due.size) wake.soon();
    if (live || !identity || !tabs?.leading || !(watched.length || othersWatch)) return;
    live = listen({
      api,
      pool,
      identityId: identity,
      onUpdate: (name, count) => say({ live: name, count }),
      onAsk: () => say({ ask: true }),
      onState: (is) => (isLive = is),
    });
  }

  function stop() {
    live?.stop();
    live = undefined;
    isLive = false;
  }

  /** Tell all tabs, this one too. @param {any} message */
  function say(message) {
    tabs?.post(message);
    hear(message);
  }

  /** @param {any} message */
  function hear(message) {
    const { changed, due: asked, leads, who, watching, live: told, count, ask, moved } = message;
    if (changed) find(changed)?.refresh().catch(ignore);
    if (asked && tabs?.leading && datasets.has(asked)) want(asked);
    if (who) lead();
    if (moved) move().catch(ignore);
    if (ask) for (const name of watched) want(name);
    if (told && watched.includes(told)) {
      const look = (/** @type {any} */ copy) => copy?.sync_count !== count && want(told);
      find(told)?.copy().then(look, ignore);
    }
    if (leads) {
      led = leads;
      if (watched.length) tabs?.post({ watching: true });
    }
    othersWatch ||= watching;
    if (leads || watching) follow();
  }

  return {
    /** How it stands, for `sync.status`. */
    status: () => ({
      tab: canAgree() ? (tabs?.leading ? 'leads' : 'follows') : 'alone',
      live: live ? (isLive ? 'live' : 'asking') : 'off',
    }),

    /**
     * Go on for an identity.
     *
     * @param {string} now '' where it is not known yet
     */
    start(now) {
      const before = tabs;
      if (before && now === identity) return;
      stop();
      othersWatch = false; // whoever does says so to who leads
      identity = now;
      tabs = openTabs(`millpond ${shared} ${identity}`, hear, takeOver);
      tabs.post({ who: true });
      before?.post({ moved: true });
      before?.close();
      sendAll();
      for (const name of watched) want(name);
    },

    /** Somebody signed in: nothing has to wait any more. */
    hurry() {
      live?.hurry();
      follow();
    },

    close() {
      stop();
      wake.close();
      tabs?.close();
    },

    /** A dataset was opened; what an earlier run did not send is sent. @param {Dataset} dataset */
    opened(dataset) {
      lead();
      send(dataset);
    },

    /** Something of a dataset was stored here. @param {string} name */
    told: (name) => tabs?.post({ changed: name }),

    /** The app changed a dataset. @param {string} name */
    wrote(name) {
      if (watched.includes(name)) want(name, WRITES_MS);
    },

    /**
     * A synchronization of a dataset has ended.
     *
     * @param {string} name
     * @param {number} beganMs
     * @param {unknown} [error] what it failed for
     */
    ended(name, beganMs, error) {
      if (error) {
        if (!due.has(name)) due.set(name, beganMs);
        wake.failed(asFailure(error));
      } else if ((due.get(name) ?? Infinity) <= beganMs) {
        due.delete(name);
      }
    },

    /**
     * Keep a dataset in step until that is ended.
     *
     * @param {string} name
     * @returns {() => void} ends it
     */
    watch(name) {
      watched.push(name);
      tabs?.post({ watching: true });
      want(name);
      follow();
      let ended = false;
      return () => {
        if (!ended) watched.splice(watched.indexOf(name), 1);
        ended = true;
        if (!watched.length && !othersWatch) stop();
      };
    },
  };
}

/** @param {any} error @returns {Failure} */
function asFailure(error) {
  const { retryable = error?.retryable, retryAfterMs } = error?.cause ?? {};
  return { retryable, retryAfterMs };
}
