/**
 * AWS Signature Version 4 in the headers of a request, by WebCrypto.
 *
 * The canonical form is the server's, `wire/sigv4/canonical.py`: the path in normal form and
 * percent-encoded once more, the raw query sorted by name and value, headers by name with ASCII
 * blanks folded. `tests/client_cases/signing` has requests and signatures that both make.
 *
 * Source: "Create a signed AWS API request", IAM user guide.
 */

const ALGORITHM = 'AWS4-HMAC-SHA256';
const encoder = new TextEncoder();

/**
 * @typedef {object} Credentials
 * @property {string} accessKeyId
 * @property {string} secretAccessKey
 * @property {string} [sessionToken]
 * @property {number} [expiresMs] by the clock of the server; without it they never end
 *
 * @typedef {object} Signable
 * @property {string} method
 * @property {string} path as it is sent, percent-encoded
 * @property {string} query as it is sent, without the '?'
 * @property {[string, string][]} headers names in lower case, and all to sign
 * @property {string} body
 */

/** The signing key of the last day, service and secret: all requests of a day need the same. */
let cached = /** @type {{ of?: string, key: CryptoKey }} */ ({});

/**
 * The headers to add to a request.
 *
 * @param {Signable} request
 * @param {string} host as it is in the request
 * @param {Credentials} credentials
 * @param {string} region
 * @param {number} nowMs
 * @param {string} [service]
 * @returns {Promise<[string, string][]>}
 */
export async function sign(request, host, credentials, region, nowMs, service = 'cognito-sync') {
  const date = new Date(nowMs).toISOString().replace(/[:-]|\.\d+/g, '');
  const scope = `${date.slice(0, 8)}/${region}/${service}/aws4_request`;
  /** @type {[string, string][]} */
  const added = [['x-amz-date', date]];
  if (credentials.sessionToken) added.push(['x-amz-security-token', credentials.sessionToken]);
  const headers = joined([['host', host], ...request.headers, ...added]);
  const names = [...headers.keys()].sort();
  const signed = names.join(';');
  const canonical = [
    request.method,
    canonicalPath(request.path),
    canonicalQuery(request.query),
    ...names.map((name) => `${name}:${headers.get(name)}`),
    '',
    signed,
    await sha256(request.body),
  ].join('\n');
  const toSign = [ALGORITHM, date, scope, await sha256(canonical)].join('\n');
  const signature = hex(await hmac(await signingKey(credentials.secretAccessKey, scope), toSign));
  const claim = `${ALGORITHM} Credential=${credentials.accessKeyId}/${scope}`;
  added.push(['authorization', `${claim}, SignedHeaders=${signed}, Signature=${signature}`]);
  return added;
}

/**
 * Percent-encode all but the unreserved characters of RFC 3986.
 *
 * @param {string} text
 */
export const percentEncode = (text) =>
  encodeURIComponent(text).replace(
    /[!'()*]/g,
    (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`,
  );

/** @param {string} path */
function canonicalPath(path) {
  /** @type {string[]} */
  const segments = [];
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop();
    else if (segment && segment !== '.') segments.push(segment);
  }
  const first = /^(\/|$)/.test(path) ? '/' : '';
  const last = path.endsWith('/') && segments.length ? '/' : '';
  return first + segments.map(percentEncode).join('/') + last;
}

/** @param {string} query */
const canonicalQuery = (query) =>
  query &&
  query
    .split('&')
    .map((pair) => (pair.includes('=') ? pair : `${pair}=`))
    .map((pair) => [pair.split('=')[0], pair])
    .sort(([a, x], [b, y]) => compare(a, b) || compare(x, y)) // 'a=' goes before 'a-b='
    .map(([, pair]) => pair)
    .join('&');

/**
 * Headers by name; the values of a repeated one are joined with commas.
 *
 * @param {[string, string][]} headers
 */
function joined(headers) {
  /** @type {Map<string, string>} */
  const values = new Map();
  for (const [name, value] of headers) {
    const folded = value.replace(/[\t\n\v\f\r ]+/g, ' ').replace(/^ | $/g, '');
    values.set(name, values.has(name) ? `${values.get(name)},${folded}` : folded);
  }
  return values;
}

/** @param {string} a @param {string} b */
const compare = (a, b) => Number(a > b) - Number(a < b);

/** @param {string} secret @param {string} scope */
async function signingKey(secret, scope) {
  const of = `${secret} ${scope}`;
  if (cached.of === of) return cached.key;
  let key = await hmacKey(encoder.encode(`AWS4${secret}`));
  for (const element of scope.split('/')) key = await hmacKey(await hmac(key, element));
  cached = { of, key };
  return key;
}

/** WebCrypto, which a page has only when nobody on the way can change it. */
function subtle() {
  const found = globalThis.crypto?.subtle;
  if (!found) throw new Error('There is no WebCrypto: serve the page over https or from localhost.');
  return found;
}

/** @param {BufferSource} raw */
const hmacKey = (raw) =>
  subtle().importKey('raw', raw, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);

/** @param {CryptoKey} key @param {string} text */
const hmac = (key, text) => subtle().sign('HMAC', key, encoder.encode(text));

/** @param {string} text */
export const sha256 = async (text) => hex(await subtle().digest('SHA-256', encoder.encode(text)));

/** @param {ArrayBuffer} bytes */
const hex = (bytes) =>
  Array.from(new Uint8Array(bytes), (each) => each.toString(16).padStart(2, '0')).join('');
