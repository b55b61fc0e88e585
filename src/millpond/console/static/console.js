// What changes while somebody looks on. Everything else works without this script.
//
// An element with `data-live` is filled with each part that the server sends. What comes
// is made by the server's own templates; the policy of the page lets no script or style
// in it run, whatever it says. Where no stream can be had, the page is asked now and then.

const AGAIN_MS = 5000;

function parse(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

function fill(element, nodes) {
  // What has the focus keeps it: by the id, for the element itself is a new one.
  const focused = element.contains(document.activeElement) && document.activeElement.id;
  element.replaceChildren(...nodes);
  if (focused) document.getElementById(focused)?.focus();
}

async function ask(element) {
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const page = parse(await answer.text());
  const url = element.dataset.live;
  const found = [...page.querySelectorAll("[data-live]")].find((each) => each.dataset.live === url);
  if (found) fill(element, found.childNodes);
}

function askNowAndThen(element) {
  const timer = setInterval(() => {
    if (!document.hidden) ask(element).catch(() => {});
  }, AGAIN_MS);
  window.addEventListener("pagehide", () => clearInterval(timer), { once: true });
}

function follow(element) {
  const source = new EventSource(element.dataset.live);
  const show = (event) => fill(element, parse(event.data).body.childNodes);
  source.addEventListener("part", show);
  source.addEventListener("end", (event) => {
    source.close();
    show(event);
    element.dataset.live = "";
  });
  source.addEventListener("gone", () => source.close());
  source.onerror = () => {
    // A browser comes back by itself, unless it was refused.
    if (source.readyState === EventSource.CLOSED) askNowAndThen(element);
  };
  window.addEventListener("pagehide", () => source.close(), { once: true });
}

for (const element of document.querySelectorAll("[data-live]")) follow(element);

// Edits that are not sent yet are in their form alone: whoever leaves it is asked first.
for (const form of document.querySelectorAll("form[data-unsent]")) {
  let unsent = form.dataset.unsent !== "0";
  form.addEventListener("input", () => (unsent = true));
  form.addEventListener("submit", () => (unsent = false));
  window.addEventListener("beforeunload", (event) => {
    if (unsent) event.preventDefault();
  });
}
