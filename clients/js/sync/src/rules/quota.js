/**
 * What a device finds out before it queues a write that the server could not take.
 *
 * The rules are those of `millpond/core/client_sync/quota.py`, which says why they are
 * what they are; `tests/client_cases/quota*.json` holds both to one.
 *
 * @typedef {{record_key_chars?: number, any_key?: boolean, record_value_chars?: number,
 *   records_per_dataset?: number, dataset_bytes?: number,
 *   datasets_per_identity?: number}} Limits
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
const PAIRS = /[\ud800-\udbff][\udc00-\udfff]/g;
const MERGED = /^.+\.[\w-]+:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.\d{1,2})?$/;
const utf8 = new TextEncoder();

/** @param {RegExp} wrong @param {string} text */
const count = (wrong, text) => (text.match(wrong) ?? []).length;

/** Characters are code points, as they are for the server. @param {string} text */
const length = (text) => text.length - count(PAIRS, text);

/** @param {string} key @param {string | null} value */
const size = (key, value) => (value === null ? 0 : utf8.encode(key + value).length);

/**
 * @param {string} limit @param {number} number @param {number} most
 * @returns {Excess | null}
 */
const above = (limit, number, most) => (number > most ? { limit, number, most } : null);

/**
 * What a dataset holds, given its live records.
 *
 * @param {Iterable<[string, string]>} values
 * @returns {Usage}
 */
export function usage(values) {
  const held = { records: 0, bytes: 0 };
  for (const [key, value] of values) {
    held.records += 1;
    held.bytes += size(key, value);
  }
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
  const most = { ...LIMITS, ...limits };
  const now = written(held, key, before, after);
  return (
    (before === null && ofKey(key, most)) ||
    above('record_value_chars', length(after), most.record_value_chars) ||
    above('record_value_characters', count(NOT_TEXT, after), 0) ||
    (now.records > held.records &&
      above('records_per_dataset', now.records, most.records_per_dataset)) ||
    (now.bytes > held.bytes && above('dataset_bytes', now.bytes, most.dataset_bytes)) ||
    null
  );
}

/** @param {string} key @param {Required<Limits>} most @returns {Excess | null} */
function ofKey(key, most) {
  const number = length(key);
  if (!number) return { limit: 'record_key_chars', number, most: most.record_key_chars };
  // Not trim(), which takes other blanks than the server does.
  const blank = !/[^\0- ]/.test(key);
  const wrong = !most.any_key ? count(NOT_PORTABLE, key) : blank ? number : count(NOT_TEXT, key);
  return (
    above('record_key_chars', number, most.record_key_chars) ||
    above('record_key_characters', wrong, 0)
  );
}

/**
 * Which limit a new dataset would pass, if any.
 *
 * @param {string} name
 * @param {Iterable<string>} others the datasets of the identity that have something in
 *   them, as far as the device knows
 * @param {Limits} [limits]
 * @returns {Excess | null}
 */
export function datasetExcess(name, others, limits) {
  const most = { ...LIMITS, ...limits };
  const wrong = count(NOT_PORTABLE, name);
  if (!name || wrong) return { limit: 'dataset_name', number: wrong, most: 0 };
  const known = [...others];
  const number = known.filter((each) => !MERGED.test(each)).length + 1;
  return (
    above('dataset_name', name.length, 128) ||
    (known.includes(name) || MERGED.test(name)
      ? null
      : above('datasets_per_identity', number, most.datasets_per_identity))
  );
}
