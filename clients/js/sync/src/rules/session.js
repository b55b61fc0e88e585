/**
 * One synchronization of a dataset: effects out, events in, until it is done.
 *
 * A port of `millpond/core/client_sync/session.py`, where the course of it is drawn. The copy of each step is to be
 * stored before its effect is carried out. What the app writes meanwhile goes into the copy that is handed in with
 * the next event.
 */

import {
  UNREADABLE,
  absorb,
  acknowledge,
  aside,
  newest,
  patches,
  pull,
  setAside,
} from './copies.js';

/** @typedef {import('./copies.js').Copy} Copy */
/** @typedef {import('./copies.js').Merge} Merge */
/** @typedef {import('./copies.js').RemoteRecord} RemoteRecord */
/** @typedef {import('./copies.js').Sent} Sent */

/** @typedef {{do: 'list', dataset_name: string, since: number}} List all pages above a count */
/** @typedef {{do: 'push', sent: Sent}} Push */
/** @typedef {{do: 'delete', dataset_name: string}} Delete */

/**
 * It is over.
 *
 * @typedef {object} Done
 * @property {'done'} do
 * @property {readonly string[]} pulled keys
 * @property {readonly string[]} pushed keys
 * @property {readonly string[]} merged keys
 * @property {Readonly<Record<string, string>>} set_aside the error code by key, of what the server refuses
 * @property {string | null} failed why the rest was not done: an error code, or "Unanswered"
 */

/** @typedef {List | Push | Delete} Call */
/** @typedef {Call | Done} Effect */

/**
 * All pages of a listing; count, token and flags are those of the last page.
 *
 * @typedef {object} Listed
 * @property {'listed'} is
 * @property {string} token
 * @property {number} sync_count
 * @property {boolean} [exists] true where it is not said
 * @property {boolean} [deleted] since the count that was asked about
 * @property {readonly RemoteRecord[]} records
 * @property {readonly string[]} [merged_names]
 */

/** @typedef {{is: 'pushed', records: readonly RemoteRecord[], token?: string | null}} Pushed the records that the update stamped, and the next session */
/** @typedef {{is: 'deleted'}} Deleted */
/** @typedef {{is: 'refused', code: string}} Refused the server says no */
/** @typedef {{is: 'lost'}} Lost there is no answer: the call was made, or was not */
/** @typedef {Listed | Pushed | Deleted | Refused | Lost} Event */

/**
 * Where a synchronization stands.
 *
 * @typedef {object} Session
 * @property {string} name
 * @property {Copy} copy to be stored before `effect` is carried out
 * @property {Effect} effect
 * @property {Done} report so far
 * @property {string} token
 * @property {readonly string[]} to_absorb merged datasets that are still to be listed; each time anew, so that nothing
 *   is deleted that was not seen
 * @property {boolean} whole the next listing is asked for from 0, to find what is wrong here
 * @property {boolean} rewound the server is behind what it told once
 * @property {number} most how many patches a push may have
 * @property {number} stuck conflicts in a row between which no listing had anything new
 * @property {boolean} ahead it pushes before it has listed, in a session that it was given
 */

export const PATCHES_MAX = 1024; // in one update; what is more goes into the next
const STUCK_MAX = 2;

const CONFLICT = 'ResourceConflictException';
const NOT_FOUND = 'ResourceNotFoundException';
const INVALID = 'InvalidParameterException';
const OF_RECORDS = [
  CONFLICT,
  INVALID,
  'LimitExceededException',
  'RequestEntityTooLargeException',
  'SerializationException',
  'ValidationException',
];

const BEGINNING = {
  ...{ token: '', to_absorb: [], whole: false, rewound: false, most: PATCHES_MAX, stuck: 0 },
  ahead: false,
};

/** @type {Done} */
const NO_REPORT = { do: 'done', pulled: [], pushed: [], merged: [], set_aside: {}, failed: null };

/**
 * Begin to synchronize a dataset, or go on after an answer that was lost.
 *
 * @param {string} name
 * @param {Copy} copy
 * @param {Done} [report] of what was done already
 * @returns {Session}
 */
export function start(name, copy, report = NO_REPORT) {
  const session = { name, copy, report, ...BEGINNING };
  if (copy.sent) return { ...session, effect: { do: 'push', sent: copy.sent } };
  // What could not be read may be readable by now; a whole listing has it once more.
  const waits = [...copy.records.values()].some(({ refused }) => refused === UNREADABLE);
  if (copy.token && !Object.keys(copy.absorbed).length && !waits) {
    // Nobody had written since when the session began: the answer tells if that holds.
    const after = push({ ...session, copy: { ...copy, token: null }, ahead: true }, copy.token);
    if (after) return after;
  }
  return list({ ...session, whole: waits });
}

/**
 * Push what there is to be pushed, if there is anything.
 *
 * @param {Omit<Session, 'effect'>} session
 * @param {string} token
 * @returns {Session | null}
 */
function push(session, token) {
  const found = patches(session.copy, session.most);
  if (!found.length) return null;
  const sent = { token, patches: found };
  return { ...session, copy: { ...session.copy, sent }, effect: { do: 'push', sent } };
}

/**
 * Say what comes next.
 *
 * @param {Session} session
 * @param {Event} event the outcome of its effect
 * @param {Merge} [merge]
 * @returns {Session}
 */
export function advance(session, event, merge = newest) {
  const effect = /** @type {Call} */ (session.effect);
  switch (event.is) {
    case 'lost':
      return finish(session, 'Unanswered');
    case 'refused':
      return refused(session, effect, event.code);
    case 'pushed':
      return pushed(session, /** @type {Push} */ (effect).sent, event);
    case 'deleted':
      return deleted(session, /** @type {Delete} */ (effect).dataset_name);
  }
  const { dataset_name: name } = /** @type {List} */ (effect);
  if (name === session.name) return listed(session, /** @type {List} */ (effect), event, merge);
  const copy = absorb(session.copy, name, event.records, event.sync_count, merge);
  return goOn({ ...session, copy, to_absorb: session.to_absorb.slice(1) });
}

/**
 * @param {Omit<Session, 'effect'>} session
 * @returns {Session}
 */
function list(session) {
  const since = session.whole ? 0 : session.copy.sync_count;
  return { ...session, ahead: false, effect: { do: 'list', dataset_name: session.name, since } };
}

/**
 * @param {Session} session
 * @param {List} effect
 * @param {Listed} event
 * @param {Merge} merge
 */
function listed(session, { since }, event, merge) {
  const { exists = true, deleted: wasDeleted, merged_names = [], sync_count } = event;
  const gone = wasDeleted || (since > 0 && !exists);
  let before = session.copy;
  if (before.deleting) {
    if (exists && !gone) {
      // Should the answer be lost, a listing above this count tells of it.
      return {
        ...session,
        copy: { ...before, sync_count },
        effect: /** @type {Delete} */ ({ do: 'delete', dataset_name: session.name }),
      };
    }
    before = { ...before, deleting: false };
  }
  const { copy, changed, merged } = pull(
    before,
    event.records,
    sync_count,
    merge,
    gone || since === 0,
    session.rewound,
  );
  const { report } = session;
  // Deleted there by now, by whoever did it: no need to delete it again.
  const absorbed = Object.fromEntries(
    Object.entries(copy.absorbed).filter(([each]) => merged_names.includes(each)),
  );
  const unchanged = [...copy.records].every(([key, each]) => before.records.get(key) === each);
  return goOn({
    ...session,
    copy: { ...copy, absorbed },
    report: {
      ...report,
      pulled: more(report.pulled, changed),
      merged: more(report.merged, merged),
    },
    token: event.token,
    to_absorb: merged_names,
    whole: false,
    rewound: false,
    stuck: unchanged && copy.records.size === before.records.size ? session.stuck : 0,
  });
}

/**
 * After the listings: absorb, push, delete what was absorbed, be done.
 *
 * @param {Session} session
 * @returns {Session}
 */
function goOn(session) {
  const {
    copy,
    token,
    to_absorb: [next],
  } = session;
  if (next !== undefined) {
    return {
      ...session,
      effect: { do: 'list', dataset_name: next, since: copy.absorbed[next] ?? 0 },
    };
  }
  const after = push(session, token);
  if (after) return after;
  for (const dataset_name in copy.absorbed)
    return { ...session, effect: { do: 'delete', dataset_name } };
  return finish(session, null);
}

/**
 * @param {Session} session
 * @param {Sent} sent
 * @param {Pushed} event
 */
function pushed(session, sent, event) {
  const copy = acknowledge(session.copy, sent.patches, event.records, event.token);
  const keys = sent.patches
    .map((each) => each.key)
    .filter((key) => !copy.records.get(key)?.refused);
  const report = { ...session.report, pushed: more(session.report.pushed, keys) };
  const after = { ...session, copy, report, most: PATCHES_MAX, stuck: 0 };
  const alone = copy.sync_count > session.copy.sync_count; // nobody else wrote
  const isMore = Object.keys(copy.absorbed).length || patches(copy, 1).length;
  return (session.token || session.ahead) && alone && !isMore ? finish(after, null) : list(after);
}

/**
 * @param {Session} session
 * @param {string} name
 */
function deleted(session, name) {
  if (name === session.name)
    return list({ ...session, copy: { ...session.copy, deleting: false } });
  return goOn(without(session, name));
}

/**
 * @param {Session} session
 * @param {string} name
 * @returns {Session}
 */
function without(session, name) {
  const { [name]: _, ...absorbed } = session.copy.absorbed;
  return { ...session, copy: { ...session.copy, absorbed } };
}

/**
 * @param {Session} session
 * @param {Call} effect
 * @param {string} code
 * @returns {Session}
 */
function refused(session, effect, code) {
  if (effect.do === 'delete') {
    return code === NOT_FOUND ? deleted(session, effect.dataset_name) : finish(session, code);
  }
  if (effect.do === 'list') {
    if (code !== INVALID || !effect.since) return finish(session, code);
    // "No such SyncCount": the server was put back to an older day.
    if (effect.dataset_name === session.name)
      return list({ ...session, whole: true, rewound: true });
    return goOn(without(session, effect.dataset_name));
  }
  if (!OF_RECORDS.includes(code)) return finish(session, code); // it goes out again as it is
  const { patches: sent } = effect.sent;
  const after = { ...session, copy: { ...session.copy, sent: null } };
  // It was sent again, or ahead, and its session is over, or somebody wrote. What became of it,
  // a listing shows.
  if (!session.token) return list(after);
  if (code === CONFLICT) return conflict({ ...after, stuck: session.stuck + 1 });
  // A refused update leaves its sync session as it was, so no listing is needed.
  if (sent.length > 1) return goOn({ ...after, most: sent.length >> 1 });
  return goOn({ ...after, copy: setAside(after.copy, sent, code), most: PATCHES_MAX });
}

/**
 * Pull what is new; where that was nothing, all; where that was nothing, stop.
 *
 * @param {Session} session
 */
function conflict(session) {
  if (session.stuck > STUCK_MAX) return finish(session, CONFLICT);
  return list({ ...session, whole: session.stuck === STUCK_MAX });
}

/**
 * @param {Session} session
 * @param {string | null} failed
 * @returns {Session}
 */
function finish(session, failed) {
  const report = { ...session.report, set_aside: aside(session.copy), failed };
  return { ...session, effect: report, report };
}

/**
 * @param {readonly string[]} before
 * @param {readonly string[]} after
 */
const more = (before, after) => (before.length ? [...new Set([...before, ...after])] : after);
