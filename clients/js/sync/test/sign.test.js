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
    const how = { region: each.region, service: each.service, nowMs: each.now_s * 1000 + 999 };

    assert.deepEqual(await sign(each.request, credentials, how), each.added);
  });
}
