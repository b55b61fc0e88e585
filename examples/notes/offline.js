// A service worker: the page itself without a network.
//
// It keeps each file that was loaded, and gives what it kept when there is no answer. The
// notes are not here; `@millpond/sync` keeps them.
const KEPT = "notes";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const isOurs = new URL(request.url).origin === location.origin;
  if (isOurs && request.method === "GET") event.respondWith(load(request));
});

async function load(request) {
  const kept = await caches.open(KEPT);
  try {
    const answer = await fetch(request);
    if (answer.ok) await kept.put(request, answer.clone());
    return answer;
  } catch (error) {
    const found = await kept.match(request, { ignoreSearch: true });
    if (found) return found;
    throw error;
  }
}
