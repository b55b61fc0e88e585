// One device of an app on @millpond/sync: a command a line on standard input, an answer a
// line, each with the id of its command. It keeps its data in a file, which outlives it, and dies where it is told to.

import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const real = Date.now;
let offset = 0;
Date.now = () => real() + offset;

const { developerToken, json, localStorage, mine, newest, openSync, text, theirs } =
  await import('../../../clients/js/sync/src/index.js');
const { encrypted } = await import('../../../clients/js/sync/src/encryption.js');

const KEY = Uint8Array.from({ length: 32 }, (_, n) => n);

// What localStorage is to a page: each change is there at once, and stays when the page dies.
class FileArea {
  #file;
  #texts = new Map();
  diesAt = Infinity;

  constructor(file) {
    this.#file = file;
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
    for (const line of lines.filter(Boolean)) this.#set(...JSON.parse(line));
  }

  get length() {
    return this.#texts.size;
  }

  key(at) {
    return [...this.#texts.keys()][at] ?? null;
  }

  getItem(name) {
    return this.#texts.get(name) ?? null;
  }

  setItem(name, value) {
    this.#change(name, String(value));
  }

  removeItem(name) {
    this.#change(name, null);
  }

  #change(name, value) {
    if (--this.diesAt < 0) process.kill(process.pid, 'SIGKILL');
    appendFileSync(this.#file, `${JSON.stringify([name, value])}\n`);
    this.#set(name, value);
  }

  #set(name, value) {
    if (value === null) this.#texts.delete(name);
    else this.#texts.set(name, value);
  }
}

// Keep all words of both.
const words = (value) => (Array.isArray(value) ? value : (value ?? '').split(' ').filter(Boolean));
const joined = (found, like) => {
  const all = [...new Set(found)].sort();
  return Array.isArray(like) ? all : all.join(' ');
};
let lists = false;
const union = (key, base, one, other) => {
  const all = [...words(one), ...words(other)];
  return all.length ? joined(all, lists ? [] : "") : null;
};
const MERGES = { union, newest, mine, theirs };

let sync;
let who; // the user who signed in, if one has
let prefs;
let area;

const commands = {
  async open({ endpoint, pool, region, identity_id, token, file, merge, sealed }) {
    await sync?.close();
    area = new FileArea(file);
    lists = sealed;
    who = token && { identityId: identity_id, token };
    sync = await openSync({
      endpoint,
      pool,
      region,
      storage: localStorage({ area }),
      credentials: developerToken(() => who),
    });
    prefs = sync.dataset('prefs', {
      merge: MERGES[merge],
      codec: sealed ? encrypted(json({ version: 1 }), KEY) : text,
    });
  },

  async add({ key, word }) {
    const found = words(await prefs.get(key));
    await prefs.set(key, joined([...found, word], lists ? [] : ''));
  },

  set: ({ key, value }) => prefs.set(key, value),
  get: async ({ key }) => (await prefs.get(key)) ?? null,
  remove: ({ key }) => prefs.remove(key),
  delete: () => prefs.delete(),

  async values() {
    const found = await prefs.items();
    return Object.fromEntries([...found].map(([key, value]) => [key, joined(words(value), '')]));
  },

  async sync() {
    try {
      const { pulled, pushed, merged, setAside } = await prefs.sync();
      return { pulled, pushed, merged, set_aside: setAside, failed: null };
    } catch (error) {
      return { failed: `${error.name} ${error.code}: ${error.message}` };
    }
  },

  async unsent() {
    return (await prefs.status()).unsent;
  },

  identity: () => sync.identityId || null,

  async sign_in({ identity_id, token }) {
    who = { identityId: identity_id, token };
    await sync.signIn().catch(() => {}); // it is tried again
  },

  clock({ offset_ms }) {
    offset = offset_ms;
  },

  die_at({ write }) {
    area.diesAt = write;
  },
};

async function perform({ id, ...command }) {
  let answer;
  try {
    answer = { result: (await commands[command.do](command)) ?? null };
  } catch (error) {
    answer = { error: `${error.stack}` };
  }
  process.stdout.write(`${JSON.stringify({ id, ...answer })}\n`);
}

// An app writes while it synchronizes.
for await (const line of createInterface({ input: process.stdin })) perform(JSON.parse(line));
