/**
 * Several tabs of one app, or workers: one of them leads, and all hear what the others say.
 *
 * Who leads is settled by a Web Lock, which a tab loses with its end. Where there are none (an
 * insecure page, Node.js before 24) each leads for itself: what is stored is right all the same,
 * and the server is asked more often.
 */

/** Whether tabs can agree. */
export const canAgree = () => Boolean(globalThis.navigator?.locks);

/**
 * Do something that nobody else does at the same time, in no tab that can agree.
 *
 * @template T
 * @param {string} name
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export const exclusive = async (name, work) =>
  canAgree() ? navigator.locks.request(name, work) : work();

/**
 * @param {string} name of what they share
 * @param {{ onMessage: (message: any) => void, onLead: () => void }} on
 */
export function openTabs(name, { onMessage, onLead }) {
  const channel = globalThis.BroadcastChannel && new BroadcastChannel(name);
  const closing = new AbortController();
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
  if (canAgree()) {
    const { signal } = closing;
    navigator.locks.request(`${name} leads`, { signal }, lead).catch(() => {}); // it was closed
  } else {
    queueMicrotask(lead);
  }

  return {
    /** Whether this one leads. */
    get leading() {
      return leading;
    },

    /**
     * Tell the others; not this one.
     *
     * @param {any} message
     */
    post(message) {
      if (!closing.signal.aborted) channel?.postMessage(message);
    },

    close() {
      leading = false;
      closing.abort();
      channel?.close();
      close();
    },
  };
}
