// Listen to a guest's datasets, for as long as the page is open.
//
// EventSource comes back by itself when a connection ends, and says which event was its
// last. It gives up when the server refuses it, as it does once the signature in the URL
// has expired. Then the URL is signed anew, and names the last event in its query.

import { presign } from "./presign.js";

const PAUSE_MS = 1000;

export async function listen(guest, { onState, onChange }) {
  let lastEventId = "none"; // so the first events tell of every dataset there is
  for (;;) {
    try {
      const url = await liveUrl(guest, lastEventId);
      await untilRefused(new EventSource(url), onState, (event) => {
        lastEventId = event.lastEventId;
        onChange(JSON.parse(event.data));
      });
    } catch (error) {
      onState(`waiting (${error.message})`);
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

async function liveUrl(guest, lastEventId) {
  const credentials = await guest.credentials();
  const [pool, identity] = [guest.pool, guest.identityId].map(encodeURIComponent);
  const url = new URL(
    `/identitypools/${pool}/identities/${identity}/live`,
    guest.endpoint,
  );
  return presign(url, { lastEventId }, credentials, guest.region);
}

function untilRefused(source, onState, onEvent) {
  return new Promise((resolve) => {
    source.onopen = () => onState("connected");
    source.onmessage = onEvent;
    source.onerror = () => {
      onState("disconnected");
      if (source.readyState === EventSource.CLOSED) resolve();
    };
  });
}
