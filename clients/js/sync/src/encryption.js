import { CodecError } from './codec.js';

/**
 * Encryption of values, so that the server has ciphertext.
 *
 * The format is that of `millpond/client/encryption.py`, byte by byte:
 * `mpe1.<key id>.<base64url of nonce (12), ciphertext and tag (16)>`, AES-256-GCM, with
 * `mpe1`, key id, pool, dataset and record key, joined by line feeds, as additional data.
 *
 * @typedef {import('./codec.js').Codec} Codec
 * @typedef {import('./codec.js').Place} Place
 * @typedef {Uint8Array | CryptoKey} Key
 */

const FORMAT = 'mpe1';
const AES = 'AES-GCM';

/** @param {string} value */
const octets = (value) => new TextEncoder().encode(value);

/** @param {string} keyId @param {Place} place */
const bound = (keyId, { pool, dataset, key }) =>
  octets([FORMAT, keyId, pool, dataset, key].join('\n'));

/** @param {Uint8Array} bytes */
const base64url = (bytes) =>
  btoa(Array.from(bytes, (each) => String.fromCharCode(each)).join(''))
    .replace(/\+/g, '-')
    .replace(/\//g, '_')
    .replace(/=/g, '');

/** @param {string} body */
const fromBase64url = (body) =>
  Uint8Array.from(atob(body.replace(/-/g, '+').replace(/_/g, '/')), (each) => each.charCodeAt(0));

/**
 * A codec around another one.
 *
 * @param {Codec} codec makes the text that is encrypted
 * @param {Key | Record<string, Key>} key 32 random bytes or a CryptoKey for AES-GCM, or
 *   several of either by their ids; a single one has the id `1`
 * @param {object} [options]
 * @param {string} [options.current] the id of the key that encrypts; to be named where there
 *   are several. All of them decrypt.
 * @param {boolean} [options.readPlain] values that are not encrypted are read too. For the
 *   time in which an app goes over to encryption; afterwards a server could put in what
 *   it likes.
 * @param {() => Uint8Array} [options.makeNonce] 12 bytes, never twice with one key
 * @returns {Codec & {decrypt: (value: string, place: Place) => Promise<string>}}
 */
export function encrypted(codec, key, { current, readPlain, makeNonce } = {}) {
  const nonce = makeNonce ?? (() => crypto.getRandomValues(new Uint8Array(12)));
  /** @type {Map<string, Key>} */
  const keys = new Map(
    key instanceof Uint8Array || key instanceof CryptoKey ? [['1', key]] : Object.entries(key),
  );
  const writer = current ?? (keys.size === 1 ? [...keys.keys()][0] : '');
  if (!keys.has(writer)) throw new RangeError(`current: ${current}`);
  for (const [id, secret] of keys) {
    if (!/^[\w-]{1,32}$/.test(id)) throw new RangeError(`key id: ${id}`);
    if (!(secret instanceof CryptoKey || (secret instanceof Uint8Array && secret.length === 32))) {
      throw new RangeError(`key ${id}: not 32 bytes`);
    }
  }

  /** @param {string} id @returns {Promise<CryptoKey>} */
  async function keyOf(id) {
    let found = keys.get(id);
    if (found instanceof Uint8Array) {
      const raw = /** @type {BufferSource} */ (found);
      found = await crypto.subtle.importKey('raw', raw, AES, false, ['encrypt', 'decrypt']);
      keys.set(id, found);
    }
    return /** @type {CryptoKey} */ (found);
  }

  /** @param {string} value @param {Place} place */
  async function decrypt(value, place) {
    if (!value.startsWith(`${FORMAT}.`)) {
      if (readPlain) return value;
      throw new CodecError('not_encrypted', place, 'not encrypted');
    }
    const [, keyId = '', body = ''] = /^mpe1\.([\w-]{1,32})\.([\w-]+)$/.exec(value) ?? [];
    if (keyId && !keys.has(keyId)) {
      throw new CodecError('unknown_key', place, `no key '${keyId}'`, { keyId });
    }
    try {
      const sealed = fromBase64url(body);
      const how = { name: AES, iv: sealed.slice(0, 12), additionalData: bound(keyId, place) };
      const plain = await crypto.subtle.decrypt(how, await keyOf(keyId), sealed.slice(12));
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plain);
    } catch {
      throw new CodecError('undecipherable', place, `damaged, or not for key '${keyId}'`, { keyId });
    }
  }

  /** @param {any} value @param {Place} place */
  async function encode(value, place) {
    const plain = await codec.encode(value, place);
    if (/[\ud800-\udfff]/u.test(plain)) throw new CodecError('unencodable', place, 'no text');
    const iv = nonce();
    const sealed = await crypto.subtle.encrypt(
      { name: AES, iv: /** @type {BufferSource} */ (iv), additionalData: bound(writer, place) },
      await keyOf(writer),
      octets(plain),
    );
    const bytes = new Uint8Array(12 + sealed.byteLength);
    bytes.set(iv);
    bytes.set(new Uint8Array(sealed), 12);
    return `${FORMAT}.${writer}.${base64url(bytes)}`;
  }

  return {
    name: `encrypted-${codec.name}`,
    version: codec.version,
    decrypt,
    decode: async (value, place) => codec.decode(await decrypt(value, place), place),
    encode,
    async encodeLike(value, place, texts) {
      const plain = await codec.encode(value, place);
      for (const each of texts) {
        if (!each.startsWith(`${FORMAT}.${writer}.`)) continue;
        if ((await decrypt(each, place).catch(() => null)) === plain) return each;
      }
      return encode(value, place);
    },
  };
}
