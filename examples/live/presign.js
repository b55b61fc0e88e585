// Sign a URL with Signature Version 4, for a GET request that is nothing but the URL.
//
// It needs crypto.subtle, which pages have that came by https or from this machine.

const utf8 = new TextEncoder();
const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const EXPIRES_S = 300;

export async function presign(url, parameters, credentials, region) {
  const date = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  const scope = [date.slice(0, 8), region, "cognito-sync", "aws4_request"];
  const query = spellQuery({
    ...parameters,
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": [credentials.AccessKeyId, ...scope].join("/"),
    "X-Amz-Date": date,
    "X-Amz-Expires": EXPIRES_S,
    "X-Amz-Security-Token": credentials.SessionToken,
    "X-Amz-SignedHeaders": "host",
  });
  const canonical = [
    "GET",
    url.pathname.split("/").map(encode).join("/"),
    query,
    `host:${url.host}`,
    "",
    "host",
    EMPTY_SHA256,
  ].join("\n");
  const toSign = ["AWS4-HMAC-SHA256", date, scope.join("/"), await sha256(canonical)];
  let key = utf8.encode(`AWS4${credentials.SecretKey}`);
  for (const part of [...scope, toSign.join("\n")]) key = await hmac(key, part);
  return `${url.origin}${url.pathname}?${query}&X-Amz-Signature=${hex(key)}`;
}

function spellQuery(parameters) {
  const pairs = Object.entries(parameters).map((pair) => pair.map(encode).join("="));
  return pairs.sort().join("&");
}

function encode(text) {
  const escape = (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(text).replace(/[!'()*]/g, escape);
}

async function sha256(text) {
  return hex(await crypto.subtle.digest("SHA-256", utf8.encode(text)));
}

async function hmac(key, text) {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", key, algorithm, false, ["sign"]);
  return crypto.subtle.sign("HMAC", imported, utf8.encode(text));
}

function hex(buffer) {
  const bytes = Array.from(new Uint8Array(buffer));
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
