/**
 * Calls of Cognito Identity in the name of the server's developer, signed by AWS Signature Version 4.
 *
 * Source: "Create a signed AWS API request", IAM user guide.
 */

import { createHash, createHmac } from 'node:crypto';

const ALGORITHM = 'AWS4-HMAC-SHA256';
const TYPE = 'application/x-amz-json-1.1';

/**
 * @typedef {(operation: string, params: Record<string, any>) => Promise<any>} Ask
 *
 * @param {{ endpoint: string, region: string, accessKeyId: string, secretAccessKey: string,
 *   agent: string }} who
 * @returns {Ask}
 */
export function asDeveloper({ endpoint, region, accessKeyId, secretAccessKey, agent }) {
  const { host } = new URL(endpoint);
  return async (operation, params) => {
    const body = JSON.stringify(params);
    const target = `AWSCognitoIdentityService.${operation}`;
    const date = new Date().toISOString().replace(/[:-]|\.\d+/g, '');
    const scope = `${date.slice(0, 8)}/${region}/cognito-identity/aws4_request`;
    const names = 'content-type;host;x-amz-date;x-amz-target';
    const canonical = [
      ...['POST', '/', '', `content-type:${TYPE}`, `host:${host}`, `x-amz-date:${date}`],
      ...[`x-amz-target:${target}`, '', names, sha256(body)],
    ].join('\n');
    const key = scope.split('/').reduce(hmac, /** @type {any} */ (`AWS4${secretAccessKey}`));
    const signature = hmac(key, [ALGORITHM, date, scope, sha256(canonical)].join('\n'))
      .toString('hex');
    const answer = await fetch(`${endpoint}/`, {
      method: 'POST',
      headers: {
        'content-type': TYPE,
        'x-amz-date': date,
        'x-amz-target': target,
        'user-agent': agent,
        authorization: `${ALGORITHM} Credential=${accessKeyId}/${scope}, SignedHeaders=${names}, `
          + `Signature=${signature}`,
      },
      body,
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${operation}: ${answer.status} ${text}`);
    return JSON.parse(text);
  };
}

/** @param {string} text */
const sha256 = (text) => createHash('sha256').update(text).digest('hex');

/** @param {import('node:crypto').BinaryLike} key @param {string} text */
const hmac = (key, text) => createHmac('sha256', key).update(text).digest();
