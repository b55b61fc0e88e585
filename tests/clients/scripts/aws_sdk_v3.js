// The third AWS SDK for JavaScript: a command a line on standard input, an answer a line.
//
// In: {api, operation, input, config}. Out: {result} or {error}.
"use strict";

const { answerLines } = require("./lines.js");

const APIS = {
  sync: require("@aws-sdk/client-cognito-sync"),
  identity: require("@aws-sdk/client-cognito-identity"),
};
const CLIENTS = { sync: "CognitoSyncClient", identity: "CognitoIdentityClient" };

async function perform({ api, operation, input, config }) {
  const module = APIS[api];
  const client = new module[CLIENTS[api]](config);
  try {
    const { $metadata, ...result } = await client.send(
      new module[`${operation}Command`](input),
    );
    return { result, requestId: $metadata.requestId };
  } catch (err) {
    return {
      error: {
        code: err.name,
        message: err.message,
        status: err.$metadata?.httpStatusCode ?? null,
        fault: err.$fault ?? null,
        // Whether it has the class that an app would catch.
        typed: module[err.name] !== undefined && err instanceof module[err.name],
      },
    };
  } finally {
    client.destroy();
  }
}

answerLines(perform);
