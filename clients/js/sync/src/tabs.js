/**
 * Several tabs of one app, or workers: one of them leads, and all hear what the others say.
 *
 * Who leads is settled by a Web Lock, which a tab loses with its end. Where there are none (an
 * insecure page, Node.js before 24) each leads for itself: what is stored is right all the same,
 * and the server is asked more often.
 */

/**
 * @param {string} name of what they share
 * @param {{ onMessage?: (message: any) => void, onLead?: () => void }} [on]
 */
export function openTabs(name, { onMessage = () => {}, onLead = () => {} } = {}) {
  const locks = globalThis.navigator?.locks;
  const channel = globalThis.BroadcastChannel && new BroadcastChannel(name);
  const closing = new AbortController();
  /** @type {Map<string, Promise<unknown>>} */
  const queues = new Map();
  let leading = false;
  let close = () => {};

  function lead() {
    if (closing.signal.aborted) return;
    leading = true;
    onLead();
    return new Promise((resolve) => {
      close = () => resolve(undefined);
    });
  }

  if (channel) {
    channel.onmessage = ({ data }) => onMessage(data);
    /** @type {any} */ (channel).unref?.(); // a program may end
  }
  if (locks) {
    locks.request(`${name} leads`, { signal: closing.signal }, lead).catch(() => {}); // it was closed
  } else {
    queueMicrotask(lead);
  }

  return {
    /** Whether this one leads. */
    get leading() {
      return leading;
    },

    /** Whether tabs can agree on who leads; if not, each one does. */
    agree: Boolean(locks),

    /**
     * Tell the others; not this one.
     *
     * @param {any} message
     */
    post(message) {
      if (!closing.signal.aborted) channel?.postMessage(message);
    },

    /**
     * Do something that nobody else does at the same time, in no tab that can agree.
     *
     * @template T
     * @param {string} what
     * @param {() => Promise<T>} work
     * @returns {Promise<T>}
     */
    async exclusive(what, work) {
      if (locks) return locks.request(`${name} ${what}`, work);
      const before = queues.get(what);
      const mine = (async () => {
        await before?.catch(() => {});
        return work();
      })();
      queues.set(what, mine);
      try {
        return await mine;
      } finally {
        if (queues.get(what) === mine) queues.delete(what);
      }
    },

    close() {
      leading = false;
      closing.abort();
      channel?.close();
      close();
    },
  };
}
