/**
 * A storage in the browser's `localStorage`: small, everywhere, and one text at a time.
 *
 * A change of several texts is made whole by a journal of what they were before: while it is
 * there the change has not happened, and whoever comes next puts back what it says. That
 * always finds room, since everything was there together.
 *
 * Tabs keep out of each other's way by a Web Lock. Where there are none (a page without TLS),
 * `localStorage` itself is all that keeps two tabs apart; prefer IndexedDB there.
 */

import { asStorageError } from '../errors.js';

/** @typedef {import('./store.js').Key} Key */
/** @typedef {Pick<globalThis.Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>} Area */

const CATCH_UP_MS = 20;
const CATCH_UP_MAX = 50; // what is there still was left by a crash

/**
 * Keep everything in `localStorage`, or in what works alike.
 *
 * @param {{area?: Area, prefix?: string}} [options] `prefix`: of the names of its texts
 * @returns {import('./store.js').Storage}
 */
export function localStorage({ area = globalThis.localStorage, prefix = 'millpond' } = {}) {
  return {
    async open(namespace) {
      if (!area) throw new TypeError('There is no localStorage here: name one as area.');
      return openTable(area, `${prefix} ${namespace} `);
    },
  };
}

/**
 * @param {Area} area
 * @param {string} prefix
 * @returns {import('./store.js').Table}
 */
function openTable(area, prefix) {
  const { locks } = globalThis.navigator ?? {};
  const journal = `${prefix}journal`;

  /** @param {readonly (readonly [id: string, text: string | null])[]} texts */
  function put(texts) {
    for (const [id, text] of texts) if (text === null) area.removeItem(prefix + id); // room first
    for (const [id, text] of texts) if (text !== null) area.setItem(prefix + id, text);
  }

  /** Put back what a change that did not come to its end has touched. */
  function recover() {
    const text = area.getItem(journal);
    if (text === null) return;
    /** @type {[string, string | null][]} */
    const before = JSON.parse(text);
    put(before.map(([id]) => [id, null]));
    put(before);
    area.removeItem(journal);
  }

  /** @param {[string, string | null][]} changes */
  function write(changes) {
    const before = changes.map(([id]) => [id, area.getItem(prefix + id)]);
    area.setItem(journal, JSON.stringify(before));
    try {
      put(changes);
      area.removeItem(journal);
    } catch (error) {
      recover();
      throw error;
    }
  }

  /**
   * Do something that no other tab sees half done.
   *
   * @template T
   * @param {() => T} work
   */
  async function alone(work) {
    const recovered = async () => {
      try {
        // Another process shows the journal of a change for a moment after its end.
        for (let n = 0; locks && n < CATCH_UP_MAX && area.getItem(journal) !== null; n++)
          await new Promise((resolve) => setTimeout(resolve, CATCH_UP_MS));
        recover();
        return work();
      } catch (error) {
        throw asStorageError(error);
      }
    };
    return locks ? locks.request(prefix, recovered) : recovered();
  }

  const get = (/** @type {Key} */ key) =>
    JSON.parse(area.getItem(prefix + JSON.stringify(key)) ?? 'null');

  return {
    read: (keys, under) =>
      alone(() => {
        /** @type {import('./store.js').Entry[]} */
        const found = [];
        const start = `${prefix}${JSON.stringify(under ?? []).slice(0, -1)},`;
        for (let at = 0; under && at < area.length; at++) {
          const name = area.key(at);
          if (!name?.startsWith(start)) continue;
          const key = JSON.parse(name.slice(prefix.length));
          found.push([key, get(key)]);
        }
        return { values: keys.map(get), found };
      }),

    swap: (expected, writes) =>
      alone(() => {
        if (expected.some(([key, value]) => (get(key) ?? 0) !== value)) return false;
        const text = (/** @type {any} */ value) => (value === null ? null : JSON.stringify(value));
        write(writes.map(([key, value]) => [JSON.stringify(key), text(value)]));
        return true;
      }),
  };
}
