/**
 * A server on a socket that answers what a test tells it to, and keeps what it was asked.
 */

import { once } from 'node:events';
import { createServer } from 'node:http';

/**
 * @typedef {object} Asked
 * @property {string} method
 * @property {string} url
 * @property {import('node:http').IncomingHttpHeaders} headers
 * @property {string} body
 *
 * @typedef {object} Answer `drop` ends the connection instead; `open` keeps it open after the body
 * @property {number} [status]
 * @property {Record<string, string>} [headers]
 * @property {unknown} [body] text, or what becomes JSON
 * @property {boolean} [drop]
 * @property {boolean} [open]
 */

/**
 * @param {...(Answer | ((asked: Asked) => Answer))} answers in turn; the last one again and again
 */
export async function scriptedServer(...answers) {
  /** @type {Asked[]} */
  const asked = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    const { method = '', url = '', headers } = request;
    const now = { method, url, headers, body };
    const next = answers[Math.min(asked.length, answers.length - 1)];
    asked.push(now);
    const answer = typeof next === 'function' ? next(now) : next;
    if (answer.drop) return request.socket.destroy();
    response.writeHead(answer.status ?? 200, answer.headers);
    const text = answer.body ?? {};
    response.write(typeof text === 'string' ? text || '\n' : JSON.stringify(text));
    if (!answer.open) response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    asked,
    endpoint: `http://127.0.0.1:${port}`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** @param {string} code @param {number} status @param {string} [message] @returns {Answer} */
export const refusal = (code, status, message = 'no') => ({
  status,
  headers: { 'x-amzn-errortype': code, 'x-amzn-requestid': 'r-1' },
  body: { __type: code, message },
});
