/** Keeps a user's data in step across devices: what an app imports. */

export {};
