import assert from 'node:assert/strict';
import { createDecipheriv, webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import { CodecError, json, text } from '../src/codec.js';
import { encrypted } from '../src/encryption.js';

/** @param {string} name @returns {any[]} */
const cases = (name) =>
  JSON.parse(
    readFileSync(new URL(`../../../../tests/client_cases/${name}.json`, import.meta.url), 'utf8'),
  );

const PLACE = { pool: 'eu-west-1:00000000-0000-4000-8000-000000000001', dataset: 'prefs', key: 'colour' };
/** @param {number} first */
const bytes = (first) => Uint8Array.from({ length: 32 }, (_, n) => first + n);
const KEYS = { 1: bytes(0), 2026: bytes(100) };

/** @param {any} told */
const codecOf = ({ name, version, migrate }) =>
  name === 'text'
    ? text
    : json({
        version,
        migrate: migrate && ((/** @type {any} */ was, /** @type {number} */ from) => ({ from, was })),
      });

/** @param {any} error */
const told = ({ reason, version, known, keyId }) =>
  JSON.parse(JSON.stringify({ reason, version, known, key_id: keyId }));

/** @param {() => any} call @returns {Promise<any>} */
async function refused(call) {
  try {
    await call();
  } catch (error) {
    assert.ok(error instanceof CodecError, String(error));
    return error;
  }
  return assert.fail('nothing was refused');
}

for (const each of cases('codec')) {
  test(`codec: ${each.case}`, async () => {
    const codec = codecOf(each.codec);
    if (each.error) {
      const error = await refused(() =>
        'write' in each ? codec.encode(each.write, PLACE) : codec.decode(each.read, PLACE),
      );
      assert.deepEqual(told(error), each.error);
      assert.deepEqual([error.dataset, error.key], ['prefs', 'colour']);
    } else if ('read' in each) {
      assert.deepEqual(codec.decode(each.read, PLACE), each.value);
    } else {
      assert.equal(codec.encode(each.value, PLACE), each.text);
      assert.deepEqual(codec.decode(each.text, PLACE), each.value);
    }
  });
}

for (const each of cases('codec_encrypted')) {
  test(`encrypted: ${each.case}`, async () => {
    const codec = encrypted(text, KEYS, {
      current: each.current ?? '1',
      readPlain: each.read_plain,
      makeNonce: () => Uint8Array.from(Buffer.from(each.nonce, 'hex')),
    });
    if (each.error) {
      const error = await refused(() => codec.decode(each.read, each.place));
      assert.deepEqual(told(error), each.error);
    } else if (each.read !== undefined) {
      assert.equal(await codec.decode(each.read, each.place), each.plain);
    } else {
      assert.equal(await codec.encode(each.plain, each.place), each.text);
      assert.equal(await codec.decode(each.text, each.place), each.plain);
    }
  });
}

test('encrypted: byte by byte, as it is documented', async () => {
  const written = await encrypted(text, KEYS, { current: '2026' }).encode('teal', PLACE);

  const [format, keyId, body] = written.split('.');
  const octets = Buffer.from(body, 'base64url');
  const cipher = createDecipheriv('aes-256-gcm', bytes(100), octets.subarray(0, 12));
  cipher.setAAD(Buffer.from(['mpe1', '2026', PLACE.pool, 'prefs', 'colour'].join('\n')));
  cipher.setAuthTag(octets.subarray(-16));
  const plain = Buffer.concat([cipher.update(octets.subarray(12, -16)), cipher.final()]);
  assert.deepEqual([format, keyId, plain.toString()], ['mpe1', '2026', 'teal']);
});

test('encrypted: a key that cannot be taken out of the browser', async () => {
  const key = await webcrypto.subtle.importKey('raw', bytes(0), 'AES-GCM', false, ['encrypt', 'decrypt']);
  const written = await encrypted(json({ version: 1 }), key).encode({ size: 7 }, PLACE);

  const read = await encrypted(json({ version: 1 }), bytes(0)).decode(written, PLACE);
  assert.deepEqual(read, { size: 7 });
});

test('encrypted: a value of a megabyte', async () => {
  const codec = encrypted(text, bytes(0));
  const value = 'ä'.repeat(300000);

  assert.equal(await codec.decode(await codec.encode(value, PLACE), PLACE), value);
});

for (const [what, value] of /** @type {[string, any][]} */ ([
  ['undefined', undefined],
  ['undefined in a list', [undefined]],
  ['NaN', { a: [NaN] }],
  ['an integer beyond 2**53', 2 ** 53],
  ['a bigint', 1n],
  ['a function', () => 1],
  ['a function in an object', { a: () => 1 }],
  ['a Map', new Map([[1, 2]])],
])) {
  test(`codec: ${what} is no JSON`, async () => {
    assert.equal((await refused(() => json().encode(value, PLACE))).reason, 'unencodable');
  });
}

test('codec: half of a character is in no ciphertext', async () => {
  const error = await refused(() => encrypted(text, bytes(0)).encode('\ud834', PLACE));

  assert.equal(error.reason, 'unencodable');
});

for (const [key, current] of /** @type {[any, any][]} */ ([
  [new Uint8Array(5), undefined],
  [{}, undefined],
  [KEYS, undefined],
  [KEYS, '2027'],
  [{ 'a.b': bytes(0) }, undefined],
  [{ 1: 'k'.repeat(32) }, undefined],
])) {
  test(`encrypted: keys that are wrong, ${Object.keys(key).slice(0, 3)}, ${current}`, () => {
    assert.throws(() => encrypted(text, key, { current }), RangeError);
  });
}

test('codec: versions that no text can be marked with', () => {
  assert.throws(() => json({ version: -1 }), RangeError);
  assert.throws(() => json({ version: 1.5 }), RangeError);
});

test('encrypted: a text that says the same already stays, unless its key is an old one', async () => {
  const old = encrypted(json(), KEYS, { current: '1' });
  const theirs = await old.encode([1], PLACE);
  const mine = await old.encode([2], PLACE);

  assert.equal(await old.encodeLike?.([1], PLACE, [mine, '', theirs]), theirs);
  assert.ok(![mine, theirs].includes((await old.encodeLike?.([3], PLACE, [mine, theirs])) ?? ''));
  const anew = await encrypted(json(), KEYS, { current: '2026' }).encodeLike?.([1], PLACE, [theirs]);
  assert.match(anew ?? '', /^mpe1[.]2026[.]/);
});
