import { SyncError } from './errors.js';

/**
 * How the values of an app become the texts that travel, and back.
 *
 * The forms are those of `millpond/client/codecs.py`, which says why they are what they
 * are; `tests/client_cases/codec*.json` holds both to one.
 *
 * @typedef {{pool: string, dataset: string, key: string}} Place where a value belongs
 *
 * @typedef {object} Codec makes texts of values, and values of texts; both throw `CodecError`
 * @property {string} name what people call it
 * @property {number} version what is written; 0: no version is
 * @property {(value: any, place: Place) => string | Promise<string>} encode what travels
 * @property {(value: any, place: Place, texts: string[]) => Promise<string>} [encodeLike]
 *   as `encode`, but one of the texts where it says the same already; for a codec that
 *   gives another text each time
 * @property {(text: string, place: Place) => any} decode what it is, or a promise of it
 *
 * @typedef {'unencodable' | 'malformed' | 'newer_version' | 'no_migration'} Unreadable
 * @typedef {Unreadable | 'not_encrypted' | 'unknown_key' | 'undecipherable'} Reason
 */

/**
 * A value cannot be written as a text, or a text not be read; it never tells the value. `reason` says
 * why; `version` is that of the value, `known` the highest that the codec reads, and `keyId` the key
 * that it names, where it is about these.
 */
export class CodecError extends SyncError {
  /**
   * @param {Reason} reason
   * @param {Place} place
   * @param {string} why
   * @param {{version?: number, known?: number, keyId?: string}} [more] the version of the
   *   value and the highest that the codec reads; the id of the key that it names
   */
  constructor(reason, { dataset, key }, why, more = {}) {
    super(reason, `"${dataset}", "${key}": ${why}.`, { dataset, key });
    this.reason = reason;
    this.version = more.version;
    this.known = more.known;
    this.keyId = more.keyId;
  }
}

/** Texts as they are. @type {Codec} */
export const text = {
  name: 'text',
  version: 0,
  encode(value, place) {
    if (typeof value === 'string') return value;
    throw new CodecError('unencodable', place, `a ${typeof value} is no text; use json()`);
  },
  decode: (value) => value,
};

/**
 * JSON, with a version or without.
 *
 * @param {object} [options]
 * @param {number} [options.version] of the form that values have now, from 1; 0: texts have
 *   no mark, as clients without a codec write and read them
 * @param {(value: any, version: number) => any} [options.migrate] makes the current form of
 *   older values; those without a mark are of version 0: JSON where it is, else the text
 * @returns {Codec}
 */
export function json({ version: known = 0, migrate } = {}) {
  if (!(known >= 0 && known < 1e9 && Number.isInteger(known))) {
    throw new RangeError(`version ${known}`);
  }
  return {
    name: 'json',
    version: known,
    encode(value, place) {
      try {
        const written = JSON.stringify(value, check);
        return known ? `#v${known}:${written}` : written;
      } catch (error) {
        throw new CodecError('unencodable', place, `no JSON: ${error}`);
      }
    },
    decode(value, place) {
      const mark = /^#v([1-9][0-9]{0,8}):/.exec(value);
      const version = mark ? Number(mark[1]) : 0;
      const versions = { version, known };
      const why = `version ${version}, known ${known}`;
      if (version > known) throw new CodecError('newer_version', place, why, versions);
      let found = value;
      try {
        found = JSON.parse(mark ? value.slice(mark[0].length) : value);
      } catch {
        if (version || !migrate) throw new CodecError('malformed', place, 'no JSON');
      }
      if (version === known) return found;
      if (migrate) return migrate(found, version);
      throw new CodecError('no_migration', place, why, versions);
    },
  };
}

/**
 * Refuse what JSON would leave out or change without a word.
 *
 * @this {any}
 * @param {string} name
 * @param {any} value
 */
function check(name, value) {
  const kind = typeof value;
  if (
    kind === 'number'
      ? // From 1e21 on it is written as a fraction is, which others read as one.
        !Number.isFinite(value) ||
        (value % 1 === 0 && !Number.isSafeInteger(value) && value ** 2 < 1e42)
      : // A member that is undefined is one that is not there, as elsewhere in JavaScript.
        /^(fu|sy)/.test(kind) ||
        (value === undefined && (!name || Array.isArray(this))) ||
        value instanceof Map ||
        value instanceof Set
  )
    throw kind;
  return value;
}
