/**
 * Devices with tabs that crash between any two steps, lose answers and are merged: in the end all
 * have the same, and nothing that an app was told is stored is lost.
 *
 * A crash is an operation of the storage or a call that never comes back: nothing of that tab
 * happens any more. Whatever it had been told before is expected to be there.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { SyncError } from '../src/errors.js';
import { localStorage } from '../src/storage/local-storage.js';
import { memory } from '../src/storage/memory.js';
import { Area, Crash } from './area.js';
import { device, ME, Person, Server } from './world.js';

const HISTORIES = Number(process.env.HISTORIES ?? 60);
const STEPS = 14;
let devices = 0; // those of one device share tabs, and no others
const NEVER = new Promise(() => {});

/** Numbers that look random, and are the same each time. */
function randomOf(seed) {
  let state = seed * 2654435761 + 1;
  const next = () => {
    state = (state ^ (state << 13)) >>> 0;
    state ^= state >>> 17;
    state = (state ^ (state << 5)) >>> 0;
    return state / 2 ** 32;
  };
  return {
    below: (most) => Math.floor(next() * most),
    chance: (of) => next() < of,
    one: (of) => of[Math.floor(next() * of.length)],
  };
}

/** Values are sets of words, and a merge keeps all of them. */
const wordsOf = (text) => (text ?? '').split(' ').filter(Boolean);
const union = (...texts) => [...new Set(texts.flatMap(wordsOf))].sort().join(' ');

class History {
  constructor(seed) {
    this.random = randomOf(seed);
    this.server = new Server();
    this.written = new Map();
    this.words = 0;
    this.people = [];
    this.devices = Array.from({ length: 1 + this.random.below(3) }, () => this.newDevice());
  }

  newDevice() {
    const area = new Area();
    const person = new Person(this.random.chance(0.3) ? null : ME);
    this.people.push(person);
    const storage = this.random.chance(0.5) ? memory() : localStorage({ area });
    return { area, person, storage, endpoint: `http://device-${devices++}`, tabs: [] };
  }

  /** A tab: what the app does in it until it crashes. */
  async open(place) {
    const { random, server } = this;
    const tab = { dead: false, left: random.chance(0.4) ? random.below(25) : Infinity };
    const step = async (work) => {
      if (tab.dead) return NEVER;
      // Before the step, after it, or in the middle of it.
      if (--tab.left < 0) {
        tab.dead = true;
        if (random.chance(0.5)) {
          place.area.left = random.below(12);
          await Promise.resolve()
            .then(work)
            .catch(() => {});
          place.area.left = Infinity;
        }
        return NEVER;
      }
      const done = await Promise.resolve().then(work);
      return tab.dead ? NEVER : done;
    };
    const storage = {
      async open(name) {
        const table = await place.storage.open(name);
        return {
          ...table,
          read: (...of) => step(() => table.read(...of)),
          swap: (...of) => step(() => table.swap(...of)),
        };
      },
    };
    const fate = () => random.one(['answered', 'answered', 'answered', 'unasked', 'unheard']);
    const lost = { is: 'lost', error: new Error('away') };
    let is = 'answered';
    tab.sync = await this.ended(
      device(server, storage, {
        person: place.person,
        endpoint: place.endpoint,
        before: () => step(() => ((is = fate()) === 'unasked' ? lost : null)),
        after: () => step(() => (is === 'unheard' ? lost : null)),
      }),
    );
    tab.prefs = tab.sync?.dataset('prefs', {
      merge: (key, base, mine, theirs) => union(mine, theirs) || null,
    });
    return tab;
  }

  /** What comes of it, unless the tab crashes in it. */
  async ended(work) {
    const crashed = Symbol('crashed');
    const outcome = await Promise.race([
      work.catch((error) => {
        if (!(error instanceof SyncError)) throw error;
        return null;
      }),
      (async () => {
        for (let turns = 0; turns < 400; turns++) await Promise.resolve();
        for (let turns = 0; turns < 4; turns++) await new Promise(setImmediate);
        return crashed;
      })(),
    ]);
    return outcome === crashed ? undefined : outcome;
  }

  /** Write a word more; to a key that nobody else has, where others write at the same time. */
  write(tab, isAlone = true) {
    const word = `w${this.words++}`;
    const key = isAlone ? this.random.one(['a', 'b', 'c']) : word;
    return this.ended(
      (async () => {
        await tab.prefs.refresh();
        await tab.prefs.set(key, union(await tab.prefs.get(key), word));
        this.written.set(word, key); // the app was told that it is stored
      })(),
    );
  }

  async step() {
    const { random, server } = this;
    const place = random.one(this.devices);
    place.tabs = place.tabs.filter((each) => !each.dead && each.sync);
    if (place.tabs.length < 2 && random.chance(0.5)) place.tabs.push(await this.open(place));
    const tab = random.one(place.tabs);
    const what = random.one([
      'write',
      'write',
      'write',
      'sync',
      'sync',
      'both',
      'expire',
      'merge',
      'sign in',
    ]);
    server.now += random.below(3);
    if (what === 'expire') server.endSessions();
    if (what === 'sign in') place.person.is ??= ME;
    if (what === 'merge') {
      const word = `w${this.words++}`;
      const known = server.dataset('prefs.old').records.get('a')?.value;
      server.write('prefs.old', [{ key: 'a', value: union(known, word) }]);
      this.written.set(word, 'a');
    }
    if (!tab?.prefs || tab.dead) return;
    if (what === 'write') await this.write(tab);
    if (what === 'sync') await this.ended(tab.prefs.sync());
    if (what === 'both') {
      const other = random.one(place.tabs);
      const writing = other.dead ? null : this.write(other, false);
      await Promise.all([this.ended(tab.prefs.sync()), writing]);
    }
  }

  /** Let everybody be heard until nobody has anything to say. */
  async settle() {
    for (const person of this.people) person.is ??= ME;
    const opened = [];
    for (const place of this.devices) {
      const sync = await device(this.server, place.storage, place);
      const merge = (key, base, mine, theirs) => union(mine, theirs) || null;
      opened.push(sync.dataset('prefs', { merge }));
    }
    for (let round = 0; round < 3; round++) for (const prefs of opened) await prefs.sync();
    return opened;
  }
}

test(`nothing is lost in ${HISTORIES} histories, and all agree`, async () => {
  let crashes = 0;
  for (let seed = 1; seed <= HISTORIES; seed++) {
    const history = new History(seed);
    try {
      for (let step = 0; step < STEPS; step++) await history.step();
      crashes += history.devices.flatMap((each) => each.tabs).filter((each) => each.dead).length;
      const opened = await history.settle();
      const found = history.server.values('prefs');
      for (const prefs of opened) {
        assert.deepEqual(Object.fromEntries(await prefs.items()), found);
        const { unsent, setAside } = await prefs.status();
        assert.deepEqual({ unsent, setAside }, { unsent: [], setAside: {} });
      }
      for (const [word, key] of history.written) {
        assert.ok(wordsOf(found[key]).includes(word), `${word} of ${key} is lost`);
      }
      assert.equal(history.server.dataset('prefs.old').exists, false);
    } catch (error) {
      error.message = `history ${seed}: ${error.message}`;
      throw error;
    }
  }
  assert.ok(crashes > HISTORIES / 20, `${crashes} crashes`);
});
