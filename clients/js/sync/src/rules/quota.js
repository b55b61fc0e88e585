/**
 * What a device finds out before it queues a write that the server could not take.
 *
 * The rules are those of `millpond/core/client_sync/quota.py`, which says why they are
 * what they are; `tests/client_cases/quota*.json` holds both to one.
 *
 * @typedef {{record_key_chars?: number, any_key?: boolean, record_value_chars?: number,
 *   records_per_dataset?: number, dataset_bytes?: number,
 *   datasets_per_identity?: number}} Limits characters of a key and of a value, bytes of keys and
 *   values in UTF-8; `any_key`: keys may have all characters that the server takes
 * @typedef {{records: number, bytes: number}} Usage
 * @typedef {{limit: string, number: number, most: number}} Excess
 */

/** @type {Required<Limits>} */
export const LIMITS = {
  record_key_chars: 128,
  any_key: false,
  record_value_chars: 1048575,
  records_per_dataset: 1024,
  dataset_bytes: 1048576,
  datasets_per_identity: 20,
};

const NOT_PORTABLE = /[^a-zA-Z0-9_.:-]/gu;
// With the flag, a surrogate is matched where it stands alone.
const NOT_TEXT = /[\0\ud800-\udfff]/gu;
const MERGED = /.\.[\w-]+:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.\d{1,2})?$/;
const utf8 = new TextEncoder();

/** @param {string} key @param {string | null} value */
const size = (key, value) => (value === null ? 0 : utf8.encode(key + value).length);

/**
 * What compares numbers with limits, and texts with their lengths, in code points as the server
 * counts; what has no limit may not be there at all.
 *
 * @param {Limits} [limits]
 */
function against(limits) {
  /** @type {Record<string, any>} */
  const all = { ...LIMITS, ...limits };
  /** @param {string} limit @param {number} number @returns {Excess | null} */
  const over = (limit, number) => {
    const most = all[limit] ?? 0;
    return number > most ? { limit, number, most } : null;
  };
  return {
    all,
    over,
    /** @param {string} limit @param {string} text */
    long: (limit, text) =>
      text.length > all[limit] ? over(limit, [...text].length) : null,
    /** @param {string} limit @param {string} text @param {RegExp} wrong */
    wrong: (limit, text, wrong) => over(limit, (text.match(wrong) ?? []).length),
  };
}

/**
 * What a dataset holds, given its live records.
 *
 * @param {Iterable<[string, string]>} values
 * @returns {Usage}
 */
export function usage(values) {
  let held = { records: 0, bytes: 0 };
  for (const [key, value] of values) held = written(held, key, null, value);
  return held;
}

/**
 * Count anew after a write, without the other records.
 *
 * @param {Usage} held
 * @param {string} key
 * @param {string | null} before
 * @param {string | null} after
 * @returns {Usage}
 */
export const written = (held, key, before, after) => ({
  records: held.records + Number(after !== null) - Number(before !== null),
  bytes: held.bytes + size(key, after) - size(key, before),
});

/**
 * Which limit a write of a record would pass, if any.
 *
 * @param {Usage} held what the dataset holds before it
 * @param {string} key
 * @param {string | null} before the value that the record has, null: there is none
 * @param {string | null} after the one it shall have, encoded and encrypted; null
 *   removes it, which is always possible
 * @param {Limits} [limits]
 * @returns {Excess | null}
 */
export function excess(held, key, before, after, limits) {
  if (after === null) return null;
  const { all, over, long, wrong } = against(limits);
  const { records, bytes } = written(held, key, before, after);
  // A blank key is none. Not by trim(), which takes other blanks than the server does.
  const ofKey = !all.any_key ? NOT_PORTABLE : /[^\0- ]/.test(key) ? NOT_TEXT : /./gsu;
  return (
    (before === null &&
      ((!key && { limit: 'record_key_chars', number: 0, most: all.record_key_chars }) ||
        long('record_key_chars', key) ||
        wrong('record_key_characters', key, ofKey))) ||
    long('record_value_chars', after) ||
    wrong('record_value_characters', after, NOT_TEXT) ||
    (records > held.records && over('records_per_dataset', records)) ||
    (bytes > held.bytes && over('dataset_bytes', bytes)) ||
    null
  );
}

/**
 * Which limit a new dataset would pass, if any.
 *
 * @param {string} name
 * @param {readonly string[]} others the datasets of the identity that have something in them, as
 *   far as the device knows
 * @param {Limits} [limits]
 * @returns {Excess | null}
 */
export function datasetExcess(name, others, limits) {
  if (others.includes(name) || MERGED.test(name)) return null;
  const number = others.filter((each) => !MERGED.test(each)).length + 1;
  return against(limits).over('datasets_per_identity', number);
}
