// Pages of one browser that a guest opens, with credentials of the third AWS SDK for
// JavaScript: a page a line on standard input, what it got a line.
//
// In: {identityPoolId, endpoint, region}. Out: {identityId} or {error}.
"use strict";

const { fromCognitoIdentityPool } = require("@aws-sdk/credential-providers");

const { answerLines } = require("./lines.js");

// What the browser keeps from page to page. Nothing is removed, as docs/identities.md has it.
const kept = new Map();
const cache = {
  getItem: (name) => kept.get(name) ?? null,
  setItem: (name, id) => void kept.set(name, id),
  removeItem() {},
};

async function open({ identityPoolId, endpoint, region }) {
  const clientConfig = { endpoint, region, maxAttempts: 1 };
  try {
    const credentials = fromCognitoIdentityPool({ identityPoolId, clientConfig, cache });
    return { identityId: (await credentials()).identityId };
  } catch (err) {
    return { error: err.name };
  }
}

answerLines(open);
