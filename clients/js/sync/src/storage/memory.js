/** A storage that lasts as long as its object: for tests, servers, and where nothing may stay. */

/** @typedef {import('./store.js').Entry} Entry */

/**
 * Keep everything in memory. Whoever is given the same object sees the same data.
 *
 * @returns {import('./store.js').Storage}
 */
export function memory() {
  /** @type {Map<string, import('./store.js').Table>} */
  const tables = new Map();
  return {
    async open(namespace) {
      const table = tables.get(namespace) ?? openTable();
      tables.set(namespace, table);
      return table;
    },
  };
}

/** @returns {import('./store.js').Table} */
function openTable() {
  // By all of a key but its last name, which may be any text.
  /** @type {Map<string, Map<string, any>>} */
  const groups = new Map();
  const groupOf = (/** @type {import('./store.js').Key} */ key) => key.slice(0, -1).join('\n');
  const get = (/** @type {import('./store.js').Key} */ key) =>
    groups.get(groupOf(key))?.get(key[key.length - 1]);

  return {
    asIs: true,

    async read(keys, under) {
      /** @type {Entry[]} */
      const found = [];
      const start = under?.join('\n');
      for (const [group, values] of under ? groups : []) {
        if (group !== start && !group.startsWith(`${start}\n`)) continue;
        for (const [last, value] of values) found.push([[...group.split('\n'), last], value]);
      }
      return { values: keys.map(get), found };
    },

    async swap(expected, writes) {
      if (expected.some(([key, value]) => (get(key) ?? 0) !== value)) return false;
      for (const [key, value] of writes) {
        const name = groupOf(key);
        const group = groups.get(name) ?? new Map();
        groups.set(name, group);
        if (value === null) group.delete(key[key.length - 1]);
        else group.set(key[key.length - 1], value);
      }
      return true;
    },
  };
}
