// Keep the files of the page, so that it opens without a network, too.

export async function stayWithoutNetwork() {
  if (!navigator.serviceWorker) return; // pages of other machines have it over https alone
  await navigator.serviceWorker.register("offline.js");
  const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
  const files = loaded.filter((each) => new URL(each).origin === location.origin);
  await (await caches.open("notes")).addAll([location.href, ...files]);
  document.documentElement.dataset.stays = "true";
}
