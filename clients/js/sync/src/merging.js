/** How an app's merge, of values and perhaps asynchronous, becomes one of the rules. */

import { CodecError } from './codec.js';
import { ASIDE, mine, newest, theirs } from './rules/copies.js';

/** @typedef {import('./rules/copies.js').LocalRecord} LocalRecord */
/** @typedef {import('./rules/copies.js').RemoteRecord} RemoteRecord */
/** @typedef {import('./rules/copies.js').Merge} RuleMerge */

/**
 * What becomes of a key that was changed here and elsewhere: one of the rules `newest`, `mine`
 * and `theirs`, or a function of the key and the three values (`undefined`: there is none), that
 * gives the value that all shall have (`null`: none). It has to be pure and the same on all
 * devices; it may be asynchronous.
 *
 * @typedef {(key: string, base: any, mine: any, theirs: any,
 *   records: {mine: LocalRecord, theirs: RemoteRecord}) => any} Merge
 */

/**
 * @typedef {object} Values how the app's values are stored
 * @property {boolean} isText they are their texts
 * @property {(key: string, value: any, texts: string[]) => string | Promise<string>} encode may
 *   give one of the texts, if it says the same already
 * @property {(key: string, text: string | null | undefined) => any} decode
 */

const RULES = /** @type {readonly unknown[]} */ ([newest, mine, theirs]);

/**
 * Do something that merges. An app's merge is waited for outside of it, as the app may write
 * meanwhile, or ask a person; then it is done again, with the answers.
 *
 * @template T
 * @param {Merge} merge
 * @param {Values} values
 * @param {(merge: RuleMerge, asked: readonly unknown[]) => T | Promise<T>} work may change
 *   nothing when something was `asked`, and what it gives then does not count
 * @returns {Promise<T>}
 */
export async function asking(merge, values, work) {
  /** @type {Map<string, string | null | typeof ASIDE>} */
  const answers = new Map();
  for (;;) {
    /** @type {Promise<unknown>[]} */
    const asked = [];
    const done = await work(
      merge === theirs || (values.isText && RULES.includes(merge))
        ? /** @type {RuleMerge} */ (merge)
        : (key, base, mine, theirs) => {
            const id = JSON.stringify([key, base, mine.edit, mine.value, theirs.value]);
            const answer = answers.get(id);
            if (answer !== undefined) return answer;
            const asking = ask(merge, values, key, base, mine, theirs);
            asked.push(asking.then((text) => answers.set(id, text)));
            return mine.value;
          },
      asked,
    );
    if (!asked.length) return done;
    await Promise.all(asked);
  }
}

/**
 * What cannot be read is replaced by nothing but what was written in its knowledge.
 *
 * @param {Merge} merge
 * @param {Values} values
 * @param {string} key
 * @param {string | null} base
 * @param {LocalRecord} mine
 * @param {RemoteRecord} theirs
 * @returns {Promise<string | null | typeof ASIDE>}
 */
async function ask(merge, { encode, decode }, key, base, mine, theirs) {
  const texts = [theirs.value ?? null, mine.value];
  /** @param {string | null} text */
  const read = async (text) => {
    try {
      return await decode(key, text);
    } catch (error) {
      if (error instanceof CodecError) return ASIDE;
      throw error;
    }
  };
  const [their, my, was] = await Promise.all([...texts, base].map(read));
  if (their === ASIDE || my === ASIDE) return ASIDE;
  if (RULES.includes(merge)) {
    return /** @type {RuleMerge} */ (merge)(key, base, mine, theirs);
  }
  const value = await merge(key, was === ASIDE ? undefined : was, my, their, { mine, theirs });
  // A codec need not give the same text for the same value.
  if (value === their) return texts[0];
  if (value === my) return texts[1];
  if (value === undefined) throw new TypeError(`The merge gives nothing for "${key}".`);
  const like = /** @type {string[]} */ (texts.filter((each) => each !== null));
  return value === null ? null : encode(key, value, like);
}
