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
 * @param {(message: any) => void} onMessage another one said something
 * @param {() => void} onLead this one leads from now on
 */
export function openTabs(name, onMessage, onLead) {
  const channel = globalThis.BroadcastChannel && new BroadcastChannel(name);
  let closed = false;
  let end = () => {};
  const tabs = {
    leading: false,

    /** Tell the others; not this one. @param {any} message */
    post: (message) => void (closed || channel?.postMessage(message)),

    close() {
      closed = true;
      tabs.leading = false;
      channel?.close();
      end();
    },
  };

  if (channel) {
    channel.onmessage = ({ data }) => onMessage(data);
    /** @type {any} */ (channel).unref?.(); // a program may end
  }
  exclusive(`${name} leads`, async () => {
    await null; // whoever opens it has it first
    if (closed) return;
    tabs.leading = true;
    onLead();
    // Closed before it leads, it gives way at once; else it leads until it is closed.
    await new Promise((resolve) => (end = () => resolve(undefined)));
  });
  return tabs;
}
