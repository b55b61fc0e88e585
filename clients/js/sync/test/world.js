/** A server as the documents describe it, in memory, and devices that have the real client. */

import { openStore } from '../src/storage/store.js';
import { Sync } from '../src/sync.js';

export const ME = 'us-east-1:1e';
export const POOL = 'us-east-1:0f';

const refused = (code) => ({ is: 'refused', code, error: { code } });

/** All datasets of all identities. */
export class Server {
  identities = new Map();
  sessions = new Map();
  now = 1000;
  valueChars = 1000;
  tokens = 0;

  datasets(identity) {
    if (!this.identities.has(identity)) this.identities.set(identity, new Map());
    return this.identities.get(identity);
  }

  dataset(name, identity = ME) {
    const datasets = this.datasets(identity);
    if (!datasets.has(name)) {
      datasets.set(name, { count: 0, exists: false, deletedAt: 0, records: new Map() });
    }
    return datasets.get(name);
  }

  values(name, identity = ME) {
    const live = [...this.dataset(name, identity).records].filter(
      ([, each]) => each.value !== null,
    );
    return Object.fromEntries(live.map(([key, each]) => [key, each.value]));
  }

  /** Carry out an effect. */
  perform(name, effect, identity) {
    this.now++;
    if (effect.do === 'list') return this.#list(effect.dataset_name, effect.since, identity);
    if (effect.do === 'push') return this.#push(effect.sent, identity);
    return this.delete(effect.dataset_name, identity);
  }

  #list(name, since, identity) {
    const dataset = this.dataset(name, identity);
    if (dataset.exists && since > dataset.count) return refused('InvalidParameterException');
    const token = `t${this.tokens++}`;
    this.sessions.set(token, { name, identity, known: dataset.exists ? dataset.count : 0 });
    const deleted = since > 0 && (!dataset.exists || since < dataset.deletedAt);
    const above = deleted ? 0 : since;
    const merged = [...this.datasets(identity)].filter(
      ([each, { exists }]) => exists && each.startsWith(`${name}.`),
    );
    return {
      is: 'listed',
      token,
      sync_count: dataset.exists ? dataset.count : 0,
      exists: dataset.exists,
      deleted,
      records: [...dataset.records.values()].filter((each) => each.sync_count > above),
      merged_names: merged.map(([each]) => each),
    };
  }

  #push({ token, patches }, identity) {
    const session = this.sessions.get(token);
    if (session?.identity !== identity) return refused('ResourceConflictException');
    const { name, asked, answer } = session;
    if (answer)
      return JSON.stringify(patches) === asked ? answer : refused('ResourceConflictException');
    const dataset = this.dataset(name, identity);
    for (const { key, value, sync_count } of patches) {
      const stored = dataset.records.get(key);
      const isFree = sync_count === 0 && (stored?.value ?? null) === null;
      if (!isFree && sync_count !== (stored?.sync_count ?? 0)) {
        return refused('ResourceConflictException');
      }
      if (value?.length > this.valueChars) return refused('InvalidParameterException');
    }
    const records = this.write(name, patches, identity);
    let next = null; // for who knows all that there is
    if (dataset.count === session.known + 1) {
      next = `t${this.tokens++}`;
      this.sessions.set(next, { name, identity, known: dataset.count });
    }
    Object.assign(session, {
      asked: JSON.stringify(patches),
      answer: { is: 'pushed', records, token: next },
    });
    return session.answer;
  }

  /** Write unseen, as a developer or a merge of identities does. */
  write(name, patches, identity = ME) {
    const dataset = this.dataset(name, identity);
    dataset.exists = true;
    dataset.count++;
    return patches.map(({ key, value = null, modified_ms = this.now }) => {
      const record = { key, value, sync_count: dataset.count, modified_ms };
      dataset.records.set(key, record);
      return record;
    });
  }

  delete(name, identity = ME) {
    const dataset = this.dataset(name, identity);
    if (!dataset.exists) return refused('ResourceNotFoundException');
    Object.assign(dataset, { exists: false, deletedAt: ++dataset.count, records: new Map() });
    return { is: 'deleted' };
  }

  /** Drop all tombstones, as if they had expired. */
  forget(name) {
    const dataset = this.dataset(name);
    for (const [key, { value, sync_count }] of dataset.records) {
      if (value !== null) continue;
      dataset.deletedAt = Math.max(dataset.deletedAt, sync_count);
      dataset.records.delete(key);
    }
  }

  /** Let all sync sessions expire. */
  endSessions() {
    this.sessions.clear();
  }

  /** What the server makes of two identities that become one. */
  merge(from, to) {
    for (const [name, dataset] of this.datasets(from)) {
      if (!dataset.exists) continue;
      const isTaken = this.dataset(name, to).exists;
      this.datasets(to).set(isTaken ? `${name}.${from}` : name, dataset);
    }
    this.identities.delete(from);
  }
}

/** Credentials of whoever `is`, as `credentials.js` gives them. */
export class Person {
  constructor(is = ME) {
    this.is = is;
    this.told = null;
  }

  attach(context) {
    this.context = context;
  }

  async known() {
    return this.told;
  }

  async identityId() {
    if (this.is === null) throw Object.assign(new Error('away'), { code: 'Unanswered' });
    return (this.told = this.is);
  }

  async credentials() {
    throw new Error('The server of the tests asks for none.');
  }

  async forget() {
    this.told = null;
    this.is = null;
  }

  /** Become another one; what was the former's follows. */
  async mergeInto(server, identity) {
    server.merge(this.told, identity);
    await this.context.merged(this.told, identity);
    this.is = this.told = identity;
  }
}

/**
 * Start the client, as a tab or a process does.
 *
 * @param {Server} server
 * @param {import('../src/storage/store.js').Storage} storage
 * @param {object} [more] `between`: is given each call before it is made, and its event after
 */
export async function device(server, storage, more = {}) {
  const { person = new Person(), before, after, ...options } = more;
  const reach = ({ credentials, kept }) => {
    credentials.attach({ ...kept });
    return {
      api: null,
      async perform(name, effect, identity) {
        const event = (await before?.(effect)) ?? server.perform(name, effect, identity);
        return structuredClone((await after?.(effect, event)) ?? event);
      },
      listDatasets: async (identity) =>
        [...server.datasets(identity)].filter(([, { exists }]) => exists).map(([name]) => name),
    };
  };
  const store = openStore(await storage.open('pool'));
  const now = () => server.now;
  const settings = { endpoint: 'http://x', pool: POOL, storage, credentials: person, now };
  const sync = new Sync(store, { ...settings, ...options }, reach);
  await sync.start();
  return sync;
}
