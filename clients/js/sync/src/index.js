/** Keeps a user's data in step across devices: what an app imports. */

export { ApiError, NoCredentials, Unanswered } from './api/faults.js';
export { createApi } from './api/call.js';
export { developerToken, fixed, guest, openId } from './credentials.js';
