/**
 * A Millpond server for the tests of an app: in memory, as new for each test, and its clock is
 * the tests' to move. Needs `millpond` on the path (`pip install millpond`), or `uvx`.
 *
 * @typedef {import('./server.js').Millpond} Millpond
 * @typedef {import('./server.js').Options} Options
 * @typedef {import('./server.js').Call} Call
 * @typedef {import('./pools.js').Pool} Pool
 * @typedef {import('./pools.js').User} User
 */

import { after, before, beforeEach } from 'node:test';

import { startMillpond } from './server.js';

export { startMillpond };

/**
 * A server for the tests of this file, with the runner of Node.js: it is started before them, emptied
 * before each, and stopped after the last one.
 *
 * @param {Options} [options]
 * @returns {Millpond} to be used in tests and in hooks that are registered after this call
 */
export function useMillpond(options) {
  /** @type {Millpond | undefined} */
  let running;
  before(async () => {
    running = await startMillpond(options);
  });
  beforeEach(() => running?.reset());
  after(() => running?.stop());
  return /** @type {Millpond} */ (
    new Proxy({}, {
      get(_, name) {
        if (!running) throw new Error('The server runs in tests: ask it there.');
        return Reflect.get(running, name);
      },
    })
  );
}
