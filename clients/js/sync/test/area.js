/** What stands in for `localStorage`: with a size, and an end at any operation. */

export class Crash extends Error {}

export class Area {
  texts = new Map();
  chars = 0;
  charsMax = Infinity;
  /** What the browser calls it; an older Firefox says NS_ERROR_DOM_QUOTA_REACHED. */
  full = 'QuotaExceededError';
  /** Operations that change something, until the process is dead. */
  left = Infinity;

  get length() {
    return this.texts.size;
  }

  key(at) {
    return [...this.texts.keys()][at] ?? null;
  }

  getItem(name) {
    if (this.left < 0) throw new Crash();
    return this.texts.get(name) ?? null;
  }

  setItem(name, text) {
    if (--this.left < 0) throw new Crash();
    const chars = this.chars - (this.texts.get(name)?.length ?? -name.length) + text.length;
    if (chars > this.charsMax) throw new DOMException('', this.full);
    this.chars = chars;
    this.texts.set(name, text);
  }

  removeItem(name) {
    if (--this.left < 0) throw new Crash();
    if (!this.texts.has(name)) return;
    this.chars -= name.length + this.texts.get(name).length;
    this.texts.delete(name);
  }
}
