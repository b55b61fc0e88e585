/** A storage that lasts as long as its object: for tests, servers, and where nothing may stay. */

import { newVersion } from './port.js';

/** @typedef {import('./port.js').Stored} Stored */

/**
 * Keep everything in memory. Whoever is given the same object sees the same data.
 *
 * @returns {import('./port.js').Storage}
 */
export function memory() {
  /** @type {Map<string, import('./port.js').Store>} */
  const stores = new Map();
  return {
    async open(namespace) {
      let store = stores.get(namespace);
      if (!store) stores.set(namespace, (store = openStore()));
      return store;
    },
  };
}

/** @returns {import('./port.js').Store} */
function openStore() {
  /** @type {Map<string, Stored>} */
  const datasets = new Map();
  /** @type {Map<string, string>} */
  const texts = new Map();
  const id = (/** @type {string[]} */ ...names) => JSON.stringify(names);
  return {
    async load(identity, name) {
      const found = datasets.get(id(identity, name));
      if (!found) return { version: 0, head: null, records: new Map() };
      return { ...found, records: new Map(found.records) };
    },

    async commit(changes) {
      const at = changes.map(({ identity, name }) => id(identity, name));
      const isOld = changes.some(
        ({ version }, n) => (datasets.get(at[n])?.version ?? 0) !== version,
      );
      if (isOld) return 0;
      const version = newVersion();
      changes.forEach(({ drop, head, records = [] }, n) => {
        if (drop) return datasets.delete(at[n]);
        let stored = datasets.get(at[n]);
        if (!stored) datasets.set(at[n], (stored = { version, head: null, records: new Map() }));
        stored.version = version;
        stored.head = head ?? stored.head;
        for (const [key, record] of records) {
          if (record) stored.records.set(key, record);
          else stored.records.delete(key);
        }
      });
      return version;
    },

    list: async () => [...datasets.keys()].map((each) => JSON.parse(each)),
    get: async (name) => texts.get(name) ?? null,

    async put(changes) {
      for (const [name, text] of Object.entries(changes)) {
        if (text === null) texts.delete(name);
        else texts.set(name, text);
      }
    },

    close() {},
  };
}
