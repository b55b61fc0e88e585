/** Keeps a user's data in step across devices: what an app imports. */

export { ApiError, NoCredentials, Unanswered } from './api/faults.js';
export { createApi } from './api/call.js';
export { CodecError, json, text } from './codec.js';
export { developerToken, fixed, guest, openId } from './credentials.js';
export {
  ConflictError,
  QuotaError,
  RefusedError,
  StorageError,
  StorageFullError,
  SyncError,
  UnansweredError,
  UnsentError,
} from './errors.js';
export { mine, newest, theirs } from './rules/copies.js';
export { indexedDB } from './storage/indexeddb.js';
export { localStorage } from './storage/local-storage.js';
export { memory } from './storage/memory.js';
export { openSync } from './sync.js';
