/**
 * The server: a process of `millpond serve --ephemeral`, and what it lets tests do besides the APIs.
 *
 * It ends with this process. What it prints is kept for the message when it does not start.
 */

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

import { asDeveloper } from './developer.js';
import { makePool } from './pools.js';

/**
 * @typedef {object} Options how the server is started
 * @property {string[]} [command] how Millpond is called; `['millpond']`, or for instance
 *   `['uvx', 'millpond']`
 * @property {Record<string, string | number | boolean>} [settings] of the server, by name
 *
 * @typedef {object} Call a call that an app made
 * @property {string} operation its name, for instance `UpdateRecords`
 * @property {number} status of the answer
 * @property {string} error the code of the error; empty: it went well
 * @property {string} identityId of the user who signed it; empty: nobody did
 * @property {Record<string, any>} parameters of the request, by their names in the API
 *
 * @typedef {object} Lengths
 * @property {number} [days] of 24 hours
 * @property {number} [hours]
 * @property {number} [minutes]
 * @property {number} [seconds]
 *
 * @typedef {object} Clock
 * @property {() => Promise<Date>} now what time it is there
 * @property {(lengths: Lengths) => Promise<void>} advance let time pass; what has expired by then is
 *   gone when this resolves
 *
 * @typedef {object} Calls the calls since the last reset, without those of this package
 * @property {(operation?: string) => Promise<Call[]>} all in order: all, or those of an operation
 * @property {() => Promise<string[]>} names the names of their operations, in order
 * @property {() => Promise<void>} clear forget those so far
 *
 * @typedef {object} Millpond a server for tests, and what is done with it
 * @property {string} endpoint its URL
 * @property {string} region that signatures name
 * @property {{ accessKeyId: string, secretAccessKey: string }} credentials of its developer
 * @property {Record<string, string>} environment what leads SDKs and the AWS CLI here, as its developer
 * @property {Clock} clock
 * @property {Calls} calls
 * @property {(options?: Record<string, any>) => Promise<import('./pools.js').Pool>} createPool an
 *   identity pool that lets guests in and users of the developer's; `options` are of
 *   CreateIdentityPool, and win
 * @property {() => Promise<void>} reset drop all pools, data and calls, and set the clock right
 * @property {() => Promise<void>} stop end it; everything is gone
 */

const AGENT = 'millpond-testing';
const STOP_MS = 30_000;

/**
 * Start a server on a free port.
 *
 * @param {Options} [options]
 * @returns {Promise<Millpond>}
 */
export async function startMillpond({ command = ['millpond'], settings = {} } = {}) {
  const [program, ...words] = command;
  const child = spawn(program, [...words, 'serve', '--ephemeral', '--port', '0'], {
    env: environmentOf(settings),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const ended = new Promise((resolve) => child.once('close', resolve));
  ended.then(() => process.removeListener('exit', kill));
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, ...told } =
    await start(child, command.join(' '));
  const endpoint = told.AWS_ENDPOINT_URL;
  const region = told.AWS_REGION;
  const authorization = `Basic ${btoa(`${accessKeyId}:${secretAccessKey}`)}`;
  const credentials = { accessKeyId, secretAccessKey };
  const call = asDeveloper({ endpoint, region, ...credentials, agent: AGENT });

  /** @param {string} method @param {string} path @returns {Promise<any>} */
  async function ask(method, path) {
    const answer = await fetch(`${endpoint}/testing/${path}`, { method, headers: { authorization } });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  let after = 0;
  /** @param {string} [operation] */
  async function listCalls(operation) {
    const { calls } = await ask('GET', `calls?after=${after}`);
    return calls.filter(isOfApp).map(readCall)
      .filter((/** @type {Call} */ each) => !operation || each.operation === operation);
  }

  const millpond = {
    endpoint,
    region,
    credentials,
    environment: {
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_REGION: region,
      AWS_DEFAULT_REGION: region,
      AWS_ENDPOINT_URL: endpoint,
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    clock: {
      now: async () => new Date((await ask('GET', 'clock')).now_ms),
      /** @param {Lengths} lengths */
      advance: async (lengths) => {
        await ask('POST', `clock?advance_ms=${milliseconds(lengths)}`);
      },
    },
    calls: {
      all: listCalls,
      names: async () => (await listCalls()).map((/** @type {Call} */ { operation }) => operation),
      clear: async () => {
        const { calls } = await ask('GET', `calls?after=${after}`);
        after = calls.at(-1)?.Number ?? after;
      },
    },
    /** @param {Record<string, any>} [options] */
    createPool: (options) => makePool(call, options),
    reset: async () => {
      after = 0;
      await ask('POST', 'reset');
    },
    stop: async () => {
      const timer = setTimeout(kill, STOP_MS);
      child.kill('SIGTERM');
      await ended;
      clearTimeout(timer);
    },
  };
  return millpond;
}

/**
 * Read what it prints until it answers.
 *
 * @param {import('node:child_process').ChildProcessByStdio<null, import('node:stream').Readable,
 *   import('node:stream').Readable>} child
 * @param {string} command
 * @returns {Promise<Record<string, string>>} the variables that it says to export
 */
function start(child, command) {
  return new Promise((resolve, reject) => {
    /** @type {Record<string, string>} */
    const told = {};
    /** @type {string[]} */
    const printed = [];
    child.once('error', (cause) => {
      reject(new Error(`'${command}' cannot be called: pip install millpond, or say how with command:`
        + " ['uvx', 'millpond'].", { cause }));
    });
    child.once('close', () => {
      reject(new Error(`The server did not start:\n${printed.join('\n')}`));
    });
    for (const stream of [child.stdout, child.stderr]) {
      createInterface(stream).on('line', (line) => {
        if (printed.length < 200) printed.push(line);
        const variable = /^\s*export (AWS_\w+)=(.*)$/.exec(line);
        if (variable) told[variable[1]] = variable[2];
        // Both streams come as they like: the last variable, and that it has started.
        if (line.includes('"server.started"')) told.started = line;
        if (told.started && told.AWS_ENDPOINT_URL) resolve(told);
      });
    }
  });
}

/** @param {Record<string, string | number | boolean>} settings */
function environmentOf(settings) {
  // The settings of whoever runs the tests are not those of this server.
  const own = Object.entries(process.env).filter(([name]) => !/^(AWS|MILLPOND)_/.test(name));
  const given = Object.entries(settings)
    .map(([name, value]) => [`MILLPOND_${name.toUpperCase()}`, String(value)]);
  return { ...Object.fromEntries([...own, ...given]), MILLPOND_LOG_FORMAT: 'json' };
}

/** @param {Lengths} lengths */
function milliseconds({ days = 0, hours = 0, minutes = 0, seconds = 0, ...others }) {
  const [unknown] = Object.keys(others);
  if (unknown) throw new TypeError(`There is no length '${unknown}': days, hours, minutes, seconds.`);
  const ms = Math.round(1000 * (seconds + 60 * (minutes + 60 * (hours + 24 * days))));
  if (!(ms >= 0)) throw new RangeError('Time does not go back.');
  return ms;
}

/** @param {{ UserAgent?: string }} call */
const isOfApp = ({ UserAgent = '' }) => !UserAgent.includes(AGENT);

/** @param {any} call @returns {Call} */
const readCall = (call) => ({
  operation: call.Operation,
  status: call.Status,
  error: call.Error ?? '',
  identityId: call.IdentityId ?? '',
  parameters: call.Parameters ?? {},
});
