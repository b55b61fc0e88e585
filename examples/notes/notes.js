// Notes: written here at once, with a network or without; the same in every window.
//
// The address of the page says where the server is:
//   index.html?endpoint=http://127.0.0.1:8014&pool=us-east-1:...

import { guest, indexedDB, json, openSync } from "@millpond/sync";
import { stayWithoutNetwork } from "./stay.js";

const $ = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
const [endpoint, pool] = [asked.get("endpoint"), asked.get("pool")];
const LOOK_MS = 500; // how often to look whether all is sent

if (endpoint && pool) await show();
else $("where").hidden = false; // a form that leads back here
stayWithoutNetwork();

async function show() {
  const sync = await openSync({ endpoint, pool, storage: indexedDB(), credentials: guest() });
  const notes = sync.dataset("notes", { merge: both, codec: json({ version: 1 }) });

  const all = await notes.items(); // id -> { text, changed }
  let shown = null;

  // Every change comes this way: those of this window, of others, and of the server.
  notes.subscribe((changes) => {
    for (const [id, note] of Object.entries(changes)) {
      if (!note) all.delete(id);
      else if (!(note.changed < all.get(id)?.changed)) all.set(id, note); // else we typed on
    }
    render();
  });
  notes.watch(); // what is written here is sent, and what others write comes, by itself

  // When this is done, the note is on the disk. Nothing waits for the network.
  async function write(id, text) {
    const changed = Math.max(Date.now(), (all.get(id)?.changed ?? 0) + 1); // clocks differ
    all.set(id, { text, changed });
    render();
    await notes.set(id, { text, changed });
  }

  async function tell() {
    const { unsent, setAside } = await notes.status();
    const refused = Object.keys(setAside).length;
    const waiting = `${unsent.length} to be sent${navigator.onLine ? "" : ", when there is a network"}`;
    $("state").textContent = refused
      ? `${refused} refused by the server`
      : unsent.length ? waiting : "All is sent";
  }

  function open(id) {
    shown = id;
    render();
    $("text").focus();
  }

  function render() {
    const sorted = [...all].sort(([, a], [, b]) => b.changed - a.changed);
    $("list").replaceChildren(...sorted.map(([id, note]) => entry(id, note)));
    const note = all.get(shown);
    $("text").disabled = $("remove").disabled = !note;
    if ($("text").value !== (note?.text ?? "")) place(note?.text ?? "");
  }

  function entry(id, { text }) {
    const button = document.createElement("button");
    button.textContent = text.trim().split("\n")[0] || "Empty note";
    button.setAttribute("aria-current", id === shown);
    button.onclick = () => open(id);
    const item = document.createElement("li");
    item.append(button);
    return item;
  }

  $("add").onclick = async () => {
    const id = crypto.randomUUID();
    await write(id, "");
    open(id);
  };
  $("text").oninput = () => write(shown, $("text").value);
  $("remove").onclick = () => notes.remove(shown);
  document.querySelector("main").hidden = false;
  render();
  setInterval(tell, LOOK_MS);
}

// A note that was changed here and elsewhere keeps both texts. Whichever device merges, the
// outcome is the same.
function both(id, base, mine, theirs) {
  if (!mine || !theirs) return mine ?? theirs;
  const [older, newer] = [mine, theirs].sort(
    (a, b) => a.changed - b.changed || (a.text < b.text ? -1 : 1),
  );
  if (newer.text.includes(older.text)) return newer;
  return { ...newer, text: `${newer.text}\n\n${older.text}` };
}

// Another text where somebody may be typing: the cursor stays.
function place(text) {
  const field = $("text");
  const { selectionStart, selectionEnd } = field;
  field.value = text;
  if (document.activeElement === field) field.setSelectionRange(selectionStart, selectionEnd);
}
