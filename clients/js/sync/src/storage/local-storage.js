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
import { newVersion, pack, unpack } from './port.js';

/** @typedef {Pick<globalThis.Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>} Area */

const NO_AREA = 'There is no localStorage here: name one as `area`, or use another storage.';

/**
 * Keep everything in `localStorage`, or in what works alike.
 *
 * @param {{area?: Area, prefix?: string}} [options] `prefix`: of the names of its texts
 * @returns {import('./port.js').Storage}
 */
export function localStorage({ area, prefix = 'millpond' } = {}) {
  return {
    async open(namespace) {
      const found = area ?? globalThis.localStorage;
      if (!found) throw new TypeError(NO_AREA);
      return openStore(found, `${prefix} ${JSON.stringify(namespace)}`);
    },
  };
}

/**
 * @param {Area} area
 * @param {string} prefix
 * @returns {import('./port.js').Store}
 */
function openStore(area, prefix) {
  const { locks } = globalThis.navigator ?? {};
  const journal = `${prefix} journal`;
  const id = (/** @type {string[]} */ ...names) => prefix + JSON.stringify(names);
  const versionOf = (/** @type {string} */ identity, /** @type {string} */ name) =>
    Number(area.getItem(id('version', identity, name)) ?? 0);

  /**
   * Do something that nobody else sees half done.
   *
   * @template T
   * @param {() => T} work
   * @returns {Promise<T>}
   */
  async function alone(work) {
    const recovered = () => {
      try {
        recover();
        return work();
      } catch (error) {
        throw asStorageError(error);
      }
    };
    return locks ? locks.request(prefix, recovered) : recovered();
  }

  /** Put back what a change that did not come to its end has touched. */
  function recover() {
    const text = area.getItem(journal);
    if (text === null) return;
    /** @type {[string, string | null][]} */
    const before = JSON.parse(text);
    for (const [each] of before) area.removeItem(each); // room first
    for (const [each, was] of before) if (was !== null) area.setItem(each, was);
    area.removeItem(journal);
  }

  /** @param {Map<string, string | null>} texts */
  function write(texts) {
    const before = [...texts.keys()].map((each) => [each, area.getItem(each)]);
    area.setItem(journal, JSON.stringify(before));
    try {
      for (const [each, text] of texts) if (text === null) area.removeItem(each);
      for (const [each, text] of texts) if (text !== null) area.setItem(each, text);
      area.removeItem(journal);
    } catch (error) {
      recover();
      throw error;
    }
  }

  /**
   * The names that begin so, each as the list that it is made of.
   *
   * @param {string[]} names
   * @returns {string[][]}
   */
  function under(...names) {
    const start = id(...names).slice(0, -1) + ',';
    const found = [];
    for (let at = 0; at < area.length; at++) {
      const each = area.key(at);
      if (each?.startsWith(start)) found.push(JSON.parse(each.slice(prefix.length)));
    }
    return found;
  }

  const read = (/** @type {string[]} */ ...names) =>
    JSON.parse(area.getItem(id(...names)) ?? 'null');

  return {
    load: (identity, name) =>
      alone(() => ({
        version: versionOf(identity, name),
        head: read('head', identity, name),
        records: new Map(
          under('record', identity, name).map((each) => [each[3], unpack(read(...each))]),
        ),
      })),

    commit: (changes) =>
      alone(() => {
        if (changes.some((each) => versionOf(each.identity, each.name) !== each.version)) return 0;
        const version = newVersion();
        const texts = new Map();
        for (const { identity, name, drop, head, records = [] } of changes) {
          const dataset = [identity, name];
          texts.set(id('version', ...dataset), drop ? null : String(version));
          if (drop || head) texts.set(id('head', ...dataset), drop ? null : JSON.stringify(head));
          if (drop) for (const each of under('record', ...dataset)) texts.set(id(...each), null);
          for (const [key, record] of records) {
            texts.set(id('record', ...dataset, key), record && JSON.stringify(pack(record)));
          }
        }
        write(texts);
        return version;
      }),

    list: () => alone(() => under('version').map(([, identity, name]) => [identity, name])),
    get: (name) => alone(() => area.getItem(id('text', name))),
    put: (changes) =>
      alone(() =>
        write(new Map(Object.entries(changes).map(([name, text]) => [id('text', name), text]))),
      ),
    close() {},
  };
}
