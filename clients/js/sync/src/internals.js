/**
 * For packages of this house that drive the rules themselves: what is here may change with any release.
 *
 * @typedef {import('./rules/copies.js').Copy} Copy
 * @typedef {import('./rules/copies.js').LocalRecord} LocalRecord
 * @typedef {import('./rules/copies.js').RemoteRecord} RemoteRecord
 * @typedef {import('./rules/session.js').Call} Call
 * @typedef {import('./rules/session.js').Done} Done
 * @typedef {import('./rules/session.js').Event} Event
 * @typedef {import('./rules/session.js').Session} Session
 * @typedef {import('./remote.js').Remote} Remote
 * @typedef {import('./storage/store.js').Storage} Storage
 * @typedef {import('./storage/store.js').Store} Store
 * @typedef {import('./storage/store.js').Table} Table
 */

export { createApi } from './api/call.js';
export { ApiError } from './api/faults.js';
export { LocalCopy } from './local-copy.js';
export { connect } from './remote.js';
export { EMPTY, deleted, newest, unsent, written } from './rules/copies.js';
export { follow } from './rules/following.js';
export { advance, start } from './rules/session.js';
export { indexedDB } from './storage/indexeddb.js';
export { localStorage } from './storage/local-storage.js';
export { memory } from './storage/memory.js';
export { openStore, versionOf } from './storage/store.js';
