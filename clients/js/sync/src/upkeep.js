/**
 * What happens by itself: a synchronization that failed is made again, a dataset that is watched
 * is kept in step, and tabs hear of what the others do.
 *
 * `#due` has the datasets that are to be synchronized, and since when. One timer goes through
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

export class Upkeep {
  #kept;
  #wake;
  #identity = '';
  /** @type {ReturnType<typeof openTabs> | undefined} */
  #tabs;
  /** @type {ReturnType<typeof listen> | undefined} */
  #live;
  #isLive = false;
  /** @type {Map<string, number>} by name, when it became so; by a clock that never goes back */
  #due = new Map();
  /** @type {Map<string, number>} by name, how often */
  #watched = new Map();
  /** What who leads takes care of. @type {Set<string>} */
  #led = new Set();
  #othersWatch = false;

  /** @param {Kept} kept */
  constructor(kept) {
    this.#kept = kept;
    this.#wake = createWake(() => this.#run(), { onWake: () => this.#live?.hurry() });
  }

  /** How it stands, for `sync.status`. */
  get status() {
    return {
      tab: canAgree() ? (this.#tabs?.leading ? 'leads' : 'follows') : 'alone',
      live: this.#live ? (this.#isLive ? 'live' : 'asking') : 'off',
    };
  }

  /**
   * Go on for an identity.
   *
   * @param {string} identity '' where it is not known yet
   */
  start(identity) {
    const before = this.#tabs;
    if (before && identity === this.#identity) return;
    this.#stop();
    this.#identity = identity;
    this.#tabs = openTabs(`millpond ${this.#kept.name} ${identity}`, {
      onMessage: (message) => this.#hear(message),
      onLead: () => this.#lead(),
    });
    this.#tabs.post({ who: true });
    before?.post({ moved: true });
    before?.close();
  }

  close() {
    this.#stop();
    this.#wake.close();
    this.#tabs?.close();
  }

  /** A dataset was opened; what an earlier run did not send is sent. @param {Dataset} dataset */
  opened(dataset) {
    this.#lead();
    const look = async () => (await isUnsent(dataset)) && this.#want(dataset.name);
    look().catch(() => {}); // whoever uses it is told
  }

  /** Something of a dataset was stored here. @param {string} name */
  told(name) {
    this.#tabs?.post({ changed: name });
  }

  /** The app changed a dataset. @param {string} name */
  wrote(name) {
    if (this.#watched.has(name)) this.#want(name, WRITES_MS);
  }

  /**
   * A synchronization of a dataset has ended.
   *
   * @param {string} name
   * @param {number} beganMs
   * @param {unknown} [error] what it failed for
   */
  ended(name, beganMs, error) {
    if (error) {
      if (!this.#due.has(name)) this.#due.set(name, performance.now());
      this.#wake.failed(asFailure(error));
    } else if ((this.#due.get(name) ?? Infinity) <= beganMs) {
      this.#due.delete(name);
    }
  }

  /**
   * Keep a dataset in step until that is ended.
   *
   * @param {string} name
   * @returns {() => void} ends it
   */
  watch(name) {
    this.#watched.set(name, (this.#watched.get(name) ?? 0) + 1);
    this.#tabs?.post({ watching: true });
    this.#listen();
    this.#want(name);
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      const left = (this.#watched.get(name) ?? 1) - 1;
      if (left) this.#watched.set(name, left);
      else this.#watched.delete(name);
      if (!this.#watched.size && !this.#othersWatch) this.#stop();
    };
  }

  /** @param {string} name @param {number} [ms] */
  #want(name, ms) {
    this.#due.set(name, performance.now());
    this.#wake.soon(ms);
  }

  /** Synchronize what is due, one dataset after the other. @returns {Promise<Failure | null>} */
  async #run() {
    /** @type {Failure | null} */
    let failure = null;
    for (const name of [...this.#due.keys()]) {
      const dataset = this.#kept.datasets.get(name)?.dataset;
      if (!dataset) {
        this.#due.delete(name);
      } else if (!this.#tabs?.leading && this.#led.has(name)) {
        this.#due.delete(name);
        this.#tabs?.post({ due: name });
      } else {
        await dataset.sync().catch((error) => (failure = asFailure(error)));
      }
    }
    return failure;
  }

  #lead() {
    if (!this.#tabs?.leading) return;
    this.#led.clear();
    this.#tabs.post({ leads: [...this.#kept.datasets.keys()] });
    this.#listen();
    if (this.#due.size) this.#wake.soon();
  }

  /** Listen, if anybody watches and it is on this tab to do so. */
  #listen() {
    const { api, pool } = this.#kept;
    if (this.#live || !this.#identity || !this.#tabs?.leading) return;
    if (!this.#watched.size && !this.#othersWatch) return;
    this.#live = listen({
      api,
      pool,
      identityId: this.#identity,
      onUpdate: (name, count) => this.#say({ live: name, count }),
      onAsk: () => this.#say({ ask: true }),
      onState: (isLive) => (this.#isLive = isLive),
    });
  }

  #stop() {
    this.#live?.stop();
    this.#live = undefined;
    this.#isLive = false;
  }

  /** Tell all tabs, this one too. @param {any} message */
  #say(message) {
    this.#tabs?.post(message);
    this.#hear(message);
  }

  /** @param {any} message */
  #hear({ changed, due, leads, who, watching, live, count, ask, moved }) {
    const open = this.#kept.datasets;
    const ignore = () => {}; // whoever uses it is told
    if (changed) open.get(changed)?.dataset.refresh().catch(ignore);
    if (due && open.has(due) && this.#tabs?.leading) this.#want(due);
    if (who) this.#lead();
    if (watching) {
      this.#othersWatch = true;
      this.#listen();
    }
    if (moved) this.#kept.move().catch(ignore);
    if (ask) for (const name of this.#watched.keys()) this.#want(name);
    if (live && this.#watched.has(live)) this.#check(live, count).catch(ignore);
    if (leads) {
      this.#led = new Set(leads);
      if (this.#watched.size) this.#tabs?.post({ watching: true });
      if (this.#due.size) this.#wake.soon();
    }
  }

  /** @param {string} name @param {number} count */
  async #check(name, count) {
    const copy = await this.#kept.datasets.get(name)?.dataset.copy();
    if (copy?.sync_count !== count) this.#want(name);
  }
}

/** @param {Dataset} dataset */
async function isUnsent(dataset) {
  const { sent, deleting, records } = await dataset.copy();
  return sent || deleting || [...records.values()].some((each) => each.dirty && !each.refused);
}

/** @param {any} error @returns {Failure} */
function asFailure(error) {
  const { retryable = error?.retryable, retryAfterMs } = error?.cause ?? {};
  return { retryable, retryAfterMs };
}
