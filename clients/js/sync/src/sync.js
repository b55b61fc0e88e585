/**
 * Whoever is signed in, and their datasets.
 *
 * All data stands in the storage under the identity that it belongs to. The credentials keep
 * there who that is, so that an app starts without the network. Before the server has told of
 * anybody it is '', and what is written then follows into the first one, as a guest's follows
 * into the account that the guest becomes (`#move`).
 */

import { Dataset } from './dataset.js';
import { SyncError, UnsentError } from './errors.js';
import { connect } from './remote.js';
import { follow } from './rules/following.js';
import { EMPTY, unsent } from './rules/copies.js';
import { openStore } from './storage/store.js';
import { exclusive } from './tabs.js';
import { createUpkeep } from './upkeep.js';

/** @typedef {import('./storage/store.js').Store} Store */
/** @typedef {import('./storage/store.js').Stored} Stored */

/**
 * @typedef {object} Options whose data it is, and where it is kept
 * @property {string} endpoint of the server, as `https://sync.example.com`
 * @property {string} pool id of the identity pool
 * @property {import('./storage/store.js').Storage} storage where it is kept on this device:
 *   `indexedDB()`, `localStorage()` or `memory()`
 * @property {import('./credentials.js').Provider} credentials who it is: `guest()`, `openId(…)`,
 *   `developerToken(…)` or `fixed(…)`
 * @property {string} [region] that of the pool unless it is said
 * @property {typeof globalThis.fetch} [fetch] calls the server; that of the page or of Node.js
 * @property {() => number} [now] epoch milliseconds
 * @property {import('./rules/quota.js').Limits} [limits] those of the server, where its settings
 *   are not the usual ones; what it could not take is refused as it is written
 */

/**
 * What a dataset needs of the one it belongs to.
 *
 * @typedef {object} Host
 * @property {Store} store
 * @property {string} pool
 * @property {import('./rules/quota.js').Limits} [limits]
 * @property {string} identity whose data it is; '' until the server has told one
 * @property {() => number} now
 * @property {() => void} check that it is open
 * @property {<T>(work: () => T | Promise<T>) => Promise<T>} alone one change at a time
 * @property {<T>(name: string, work: () => Promise<T>) => Promise<T>} exclusive one
 *   synchronization of a dataset at a time, in all tabs
 * @property {(name: string) => Promise<void>} gather have in a dataset what follows into it
 * @property {() => Promise<string>} settle find out who it is, and have the data there
 * @property {(name: string, effect: import('./rules/session.js').Call, identity: string) =>
 *   Promise<any>} perform
 * @property {(name: string) => void} told something was stored
 * @property {(name: string) => void} wrote the app changed a dataset
 * @property {(name: string, beganMs: number, error?: unknown) => void} ended a synchronization
 * @property {(name: string) => () => void} watch
 */

const NAME = /^[a-zA-Z0-9_.:-]{1,128}$/;
const MERGED = 'sync.merged.';
const MERGES_MAX = 9; // of an identity into one that was merged itself

/** Datasets of one identity at one server. `openSync` makes one. */
export class Sync {
  /** @type {Map<string, {dataset: Dataset, options: Record<string, unknown>}>} */
  #datasets = new Map();
  #store;
  #remote;
  #options;
  /** @type {Host} */
  #host;
  #queue = Promise.resolve();
  #moved = true;
  /** @type {{identity: string, name: string}[]} what is to follow when its dataset is opened */
  #following = [];
  #open = true;
  #upkeep;

  /**
   * @internal
   * @param {Store} store
   * @param {Options} options
   * @param {typeof connect} [reach] makes what calls the server
   */
  constructor(store, options, reach = connect) {
    const { now = Date.now, endpoint, pool, region, fetch, credentials } = options;
    this.#store = store;
    this.#options = options;
    const kept = {
      get: (/** @type {string} */ name) => store.get(name),
      put: (/** @type {Record<string, string | null>} */ texts) => store.put(texts),
      merged: (/** @type {string} */ from, /** @type {string} */ to) => this.#merged(from, to),
    };
    this.#remote = reach({ endpoint, pool, region, fetch, credentials, kept });
    const name = `${endpoint} ${pool}`;
    const upkeep = createUpkeep({
      name,
      pool,
      api: this.#remote.api,
      datasets: this.#datasets,
      move: () => this.#look(),
    });
    this.#upkeep = upkeep;
    this.#host = {
      store,
      pool,
      limits: options.limits,
      identity: '',
      now,
      check: () => this.#check(),
      alone: (work) => this.#alone(work),
      exclusive: (dataset, work) =>
        exclusive(`millpond ${name} ${this.#host.identity} ${dataset}`, work),
      gather: (name) => this.#gather(name),
      settle: () => this.#settle(),
      perform: (name, effect, identity) => this.#remote.perform(name, effect, identity),
      told: (dataset) => upkeep.told(dataset),
      wrote: (dataset) => upkeep.wrote(dataset),
      ended: (dataset, beganMs, error) => upkeep.ended(dataset, beganMs, error),
      watch: (dataset) => upkeep.watch(dataset),
    };
  }

  /** Find out whose data is here, without the network. @internal */
  async start() {
    await this.#look();
  }

  async #look() {
    const known = await this.#options.credentials.known();
    if (known) await this.#alone(() => this.#move(known));
    else await this.#alone(() => this.#switch(''));
  }

  /** The identity that the data belongs to; '' until the server has told one. */
  get identityId() {
    return this.#host.identity;
  }

  /**
   * A dataset; the same object for the same name.
   *
   * @param {string} name of letters, digits and `_.:-`, at most 128
   * @param {{merge?: import('./merging.js').Merge, codec?: import('./codec.js').Codec}} [options]
   */
  dataset(name, options = {}) {
    this.#check();
    if (!NAME.test(name)) throw new TypeError(`"${name}" is no name of a dataset.`);
    const known = this.#datasets.get(name);
    if (known) {
      const differs = Object.entries(options).find(
        ([each, value]) => known.options[each] !== value,
      );
      if (differs) throw new TypeError(`"${name}" is open already, with another ${differs[0]}.`);
      return known.dataset;
    }
    const dataset = new Dataset(this.#host, name, options);
    this.#datasets.set(name, { dataset, options: { ...options } });
    this.#upkeep.opened(dataset);
    return dataset;
  }

  /**
   * The names of the datasets that there are.
   *
   * @param {{ask?: boolean}} [options] `ask`: the server as well
   * @returns {Promise<string[]>}
   */
  async datasets({ ask = false } = {}) {
    this.#check();
    const identity = ask ? await this.#settle() : this.#host.identity;
    const told = ask ? await this.#remote.listDatasets(identity) : [];
    const kept = (await this.#kept(identity)).map(({ name }) => name);
    return [...new Set([...kept, ...told])].sort();
  }

  /**
   * Where everything stands: for each dataset what `dataset.status` says.
   *
   * @returns {Promise<{identityId: string, tab: string, live: string,
   *   datasets: Record<string, import('./dataset.js').Status>}>} `tab`: 'leads', 'follows', or
   *   'alone' where tabs cannot agree; `live`: 'live', 'asking', or 'off' where another tab does
   *   it or nobody watches
   */
  async status() {
    const names = new Set([...(await this.datasets()), ...this.#datasets.keys()]);
    const found = [];
    for (const name of names) {
      // With whatever merge and codec the app will open it; it is not asked for here.
      const dataset = this.#datasets.get(name)?.dataset ?? new Dataset(this.#host, name, {});
      found.push([name, await dataset.status()]);
    }
    const datasets = Object.fromEntries(found);
    return { identityId: this.#host.identity, ...this.#upkeep.status(), datasets };
  }

  /**
   * Say that somebody has signed in, so that the credentials' function is asked. What was written
   * as a guest follows into the account.
   *
   * @returns {Promise<string>} the identity whose data it is now
   */
  async signIn() {
    this.#check();
    const { credentials } = this.#options;
    const before = await credentials.credentials().catch(() => undefined);
    await credentials.credentials(before);
    const identity = await this.#settle();
    this.#upkeep.hurry();
    return identity;
  }

  /**
   * Forget who is signed in, and take their data from this device.
   *
   * @param {{discard?: boolean}} [options] `discard`: with what was not sent yet
   * @throws {UnsentError} naming what was not sent; nothing was done
   */
  async signOut({ discard = false } = {}) {
    this.#check();
    await this.#alone(async () => {
      const { identity } = this.#host;
      for (let done = 0; !done;) {
        const kept = await this.#kept(identity);
        const copies = await Promise.all(
          kept.map((each) => this.#store.load(each.identity, each.name)),
        );
        /** @type {Record<string, string[]>} */
        const waiting = {};
        copies.map(asCopy).forEach((copy, at) => {
          const keys = unsent(copy);
          const { name } = kept[at];
          if (keys.length || copy.deleting) waiting[name] = [...(waiting[name] ?? []), ...keys];
        });
        const names = Object.keys(waiting).join(', ');
        if (names && !discard) {
          const text = `There are changes that were not sent yet, in ${names}.`;
          throw new UnsentError('Unsent', text, { unsent: waiting });
        }
        const changes = kept.map((each, at) => ({
          ...each,
          version: copies[at].version,
          drop: true,
        }));
        done = await this.#store.commit(changes);
      }
      await this.#options.credentials.forget();
      await this.#switch('');
    });
  }

  /** End it. What was stored is stored, and a synchronization that is under way ends. */
  async close() {
    await this.#alone(() => {
      this.#open = false;
      this.#upkeep.close();
      this.#store.close();
    });
  }

  #check() {
    if (!this.#open) throw new SyncError('Closed', 'It is closed.');
  }

  /**
   * @template T
   * @param {() => T | Promise<T>} work
   * @returns {Promise<T>}
   */
  #alone(work) {
    const done = this.#queue.then(() => {
      this.#check();
      return work();
    });
    this.#queue = done.then(
      () => {},
      () => {},
    );
    return done;
  }

  /**
   * What the storage has of an identity: its own, and what follows into it.
   *
   * @param {string} identity
   */
  async #kept(identity) {
    const found = [];
    for (const [from, name] of await this.#store.list()) {
      let to = from || identity;
      for (let next, n = 0; n < MERGES_MAX && (next = await this.#store.get(MERGED + to)); n++) {
        to = next;
      }
      if (to === identity) found.push({ identity: from, name });
    }
    return found;
  }

  /**
   * Note that one identity became part of another one. Its data follows with the next step.
   *
   * @param {string} from
   * @param {string} to
   */
  async #merged(from, to) {
    await this.#store.put({ [MERGED + from]: to });
    this.#moved = true;
  }

  async #settle() {
    this.#check();
    const identity = await this.#options.credentials.identityId();
    if (identity !== this.#host.identity || this.#moved)
      await this.#alone(() => this.#move(identity));
    return identity;
  }

  /**
   * Be at work for an identity.
   *
   * @param {string} identity
   */
  async #move(identity) {
    this.#moved = false;
    const kept = await this.#kept(identity);
    this.#following = kept.filter((each) => each.identity !== identity);
    await this.#switch(identity);
  }

  /**
   * Have in a dataset what was written as nobody yet, or as who became part of this identity. It
   * waits until the app has opened the dataset, and so has said how it merges.
   *
   * @param {string} name
   */
  async #gather(name) {
    const dataset = this.#datasets.get(name)?.dataset;
    const { identity: to } = this.#host;
    for (const { identity: from, name: other } of dataset ? this.#following : []) {
      while (dataset && other === name && !(await this.#follow(dataset, from, to)));
    }
  }

  /**
   * @param {Dataset} dataset
   * @param {string} from
   * @param {string} to
   * @returns {Promise<unknown>} whether it is done
   */
  async #follow(dataset, from, to) {
    const { name } = dataset;
    const former = await this.#store.load(from, name);
    if (!former.version) return true;
    const stored = await this.#store.load(to, name);
    const { records, ...head } = await dataset.asking((merge) =>
      follow(asCopy(stored), asCopy(former), `${name}.${from}`, merge),
    );
    return this.#store.commit([
      { identity: from, name, version: former.version, drop: true },
      { identity: to, name, version: stored.version, head, records },
    ]);
  }

  /** @param {string} identity */
  async #switch(identity) {
    this.#host.identity = identity;
    for (const { dataset } of this.#datasets.values()) await dataset.reload();
    this.#upkeep.start(identity);
  }
}

/**
 * @param {Stored} stored
 * @returns {import('./rules/copies.js').Copy}
 */
const asCopy = ({ head, records }) => ({ ...EMPTY, ...head, records });

/**
 * Keep a user's data in step with a server. The network is not waited for.
 *
 * @param {Options} options
 * @returns {Promise<Sync>}
 */
export async function openSync(options) {
  const { endpoint, pool, storage, credentials } = options;
  for (const [name, value] of Object.entries({ endpoint, pool, storage, credentials })) {
    if (!value) throw new TypeError(`openSync needs ${name}.`);
  }
  const store = openStore(await storage.open(`${endpoint.replace(/\/+$/, '')} ${pool}`));
  const sync = new Sync(store, options);
  await sync.start();
  return sync;
}
