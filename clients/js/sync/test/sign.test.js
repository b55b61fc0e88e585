import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { sign } from '../src/api/sign.js';

const file = new URL('../../../../tests/client_cases/signing/requests.json', import.meta.url);

for (const each of JSON.parse(readFileSync(file, 'utf8'))) {
  test(`signs as the server does: ${each.case}`, async () => {
    const credentials = {
      accessKeyId: each.access_key_id,
      secretAccessKey: each.secret,
      sessionToken: each.session_token,
    };
    const { request, region, service, added } = each;
    const nowMs = each.now_s * 1000 + 999;
    const isHost = (/** @type {string[]} */ [name]) => name === 'host';
    const rest = { ...request, headers: request.headers.filter((/** @type {any} */ one) => !isHost(one)) };
    const [, host] = request.headers.find(isHost);

    assert.deepEqual(await sign(rest, host, credentials, region, nowMs, service), added);
  });
}
