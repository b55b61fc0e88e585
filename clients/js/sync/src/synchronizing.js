/** One synchronization: the session of the rules, the calls, and a commit for each step. */

import { NoCredentials } from './api/faults.js';
import { ConflictError, RefusedError, SyncError, UnansweredError } from './errors.js';
import { advance, start } from './rules/session.js';

/** @typedef {import('./local-copy.js').Copy} Copy */
/** @typedef {import('./rules/copies.js').Merge} RuleMerge */
/** @typedef {import('./rules/session.js').Done} Done */
/** @typedef {import('./rules/session.js').Effect} Effect */
/** @typedef {import('./rules/session.js').Event} Event */
/** @typedef {import('./rules/session.js').Session} Session */

/**
 * @typedef {object} Report what a synchronization did
 * @property {readonly string[]} pulled keys whose value came from elsewhere
 * @property {readonly string[]} pushed keys that the server took
 * @property {readonly string[]} merged keys that were changed on both sides
 * @property {Readonly<Record<string, string>>} setAside the error code by key, of what it refuses
 * @property {number} attempts how many times it went round: listings of the dataset itself, or 1
 */

/**
 * @typedef {object} Job
 * @property {string} name of the dataset
 * @property {import('./sync.js').Host} host
 * @property {import('./local-copy.js').LocalCopy} local
 * @property {<T>(work: (merge: RuleMerge, asked: readonly unknown[]) => Promise<T>) => Promise<T>}
 *   asking
 */

const CONFLICT = 'ResourceConflictException';
const NAMED_MAX = 3; // keys, in the text of an error

/**
 * Go on from what this device has until it and the server have the same.
 *
 * @param {Job} job
 * @returns {Promise<Report>}
 * @throws {SyncError} what kept it from that; its `report` has what was done
 */
export async function synchronize(job) {
  const { name, host } = job;
  /** @type {Done | undefined} */
  let report;
  let attempts = 0;
  try {
    for (;;) {
      const identity = await host.settle();
      let session = await step(job, identity, (copy) => start(name, copy, report));
      while (session && session.effect.do !== 'done') {
        const { effect } = session;
        if (effect.do === 'list' && effect.dataset_name === name) attempts++;
        const event = await host.perform(name, effect, identity);
        // What was asked for as somebody else says nothing about this copy.
        if (isMoved(event) && (await host.settle()) !== identity) break;
        session = await step(job, identity, onward(job, session, event));
        report = session?.report ?? report;
        if (report?.failed) throw failure(report.failed, name, effect, event.error);
      }
      if (session?.effect.do === 'done') return asReport(report, attempts);
      if (!host.identity) throw new SyncError('SignedOut', 'Whoever it was about signed out.');
    }
  } catch (error) {
    const { code } = /** @type {{code?: unknown}} */ (error ?? {});
    const isForeign = !(error instanceof SyncError) && typeof code === 'string'; // credentials
    const told = isForeign ? failure(code, name, null, error) : error;
    if (!(told instanceof SyncError)) throw error; // of the app's own merge or codec
    throw Object.assign(told, { dataset: name, report: asReport(report, attempts) });
  }
}

/**
 * Take a step of a session, and store its copy.
 *
 * @param {Job} job
 * @param {string} identity
 * @param {(copy: Copy, merge: RuleMerge) => Session} decide
 * @returns {Promise<Session | null>} null: the dataset is not that identity's any more
 */
const step = ({ host, local, asking }, identity, decide) =>
  asking((merge, asked) =>
    host.alone(() =>
      host.identity === identity
        ? local.apply((copy) => {
            const after = decide(copy, merge);
            return asked.length ? null : /** @type {Session & {copy: Copy}} */ (after);
          })
        : null,
    ),
  );

/**
 * What comes after an event. Where the copy's head was changed meanwhile, by a deletion or by
 * another tab, the event is about what is no more, and it begins anew.
 *
 * @param {Job} job
 * @param {Session} session
 * @param {Event} event
 * @returns {(copy: Copy, merge: RuleMerge) => Session}
 */
const onward =
  ({ name, host }, session, event) =>
  (copy, merge) => {
    if (headOf(copy) !== headOf(session.copy)) return start(name, copy, session.report);
    const after = advance({ ...session, copy }, event, merge);
    if (after.effect.do !== 'done' || after.effect.failed) return after;
    return { ...after, copy: /** @type {Copy} */ ({ ...after.copy, synced_ms: host.now() }) };
  };

/**
 * What another session may have changed under this one.
 *
 * @param {import('./rules/copies.js').Copy} copy
 */
const headOf = ({ sync_count, sent, deleting, absorbed }) =>
  JSON.stringify([sync_count, sent?.token, deleting, absorbed]);

/** @param {Event} event */
const isMoved = (event) => event.is === 'refused' && event.code === 'IdentityChanged';

/**
 * @param {Done | undefined} done
 * @param {number} attempts
 * @returns {Report}
 */
const asReport = (done, attempts) => ({
  pulled: done?.pulled ?? [],
  pushed: done?.pushed ?? [],
  merged: done?.merged ?? [],
  setAside: done?.set_aside ?? {},
  attempts: attempts || 1,
});

/**
 * @param {string} code
 * @param {string} dataset
 * @param {Effect | null} effect what it was that failed
 * @param {unknown} cause
 */
function failure(code, dataset, effect, cause) {
  const sent = effect?.do === 'push' ? effect.sent.patches : [];
  const counts = Object.fromEntries(sent.map((each) => [each.key, each.sync_count]));
  const about = { dataset, counts, key: sent.length === 1 ? sent[0].key : undefined, cause };
  const text = `"${dataset}" was not synchronized: `;
  if (code === 'Unanswered') {
    // Nothing was asked without credentials, and it takes more than the network to have them.
    if (cause instanceof NoCredentials) return new SyncError(cause.code, text + cause.code, about);
    return new UnansweredError(code, `${text}there was no answer.`, about);
  }
  const named = sent.slice(0, NAMED_MAX).map((each) => `"${each.key}" (count ${each.sync_count})`);
  if (sent.length > NAMED_MAX) named.push(`${sent.length - NAMED_MAX} more`);
  const kind = code === CONFLICT ? ConflictError : RefusedError;
  return new kind(code, `${text}${code}${named.length ? ` for ${named.join(', ')}` : ''}.`, about);
}
