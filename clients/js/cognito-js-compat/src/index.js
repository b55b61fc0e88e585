/** The names of amazon-cognito-js, on @millpond/sync. */

export {};
