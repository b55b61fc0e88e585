/** A storage that lasts as long as its object: for tests, servers, and where nothing may stay. */

import { tableOf } from './store.js';

/**
 * Keep everything in memory. Whoever is given the same object sees the same data.
 *
 * @returns {import('./store.js').Storage}
 */
export function memory() {
  /** @type {Map<string, Map<string, any>>} */
  const maps = new Map();
  return {
    async open(namespace) {
      const map = maps.get(namespace) ?? new Map();
      maps.set(namespace, map);
      const write = (/** @type {[string, any][]} */ changes) => {
        for (const [id, value] of changes)
          if (value === null) map.delete(id);
          else map.set(id, value);
      };
      return tableOf(map, write, (work) => work());
    },
  };
}
