// The third AWS SDK for JavaScript: a command a line on standard input, an answer a line.
//
// In: {api, operation, input, config}. Out: {result} or {error}.
"use strict";

const { answerLines } = require("./lines.js");

const APIS = {
  sync: require("@aws-sdk/client-cognito-sync"),
  identity: require("@aws-sdk/client-cognito-identity"),
  kinesis: require("@aws-sdk/client-kinesis"),
};
const CLIENTS = {
  sync: "CognitoSyncClient",
  identity: "CognitoIdentityClient",
  kinesis: "KinesisClient",
};

// Bytes are told in base64, which is how JSON has them.
function tellBytes(key, value) {
  return value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value;
}

// The events of a subscription, up to the one that says that nothing is left. The loop
// alone would not end it.
async function readEvents(events, control) {
  const found = [];
  for await (const { SubscribeToShardEvent: event } of events) {
    found.push(event);
    if (event.MillisBehindLatest === 0) break;
  }
  control.abort();
  return found;
}

async function perform({ api, operation, input, config }) {
  const module = APIS[api];
  const client = new module[CLIENTS[api]](config);
  const control = new AbortController();
  try {
    const { $metadata, ...result } = await client.send(
      new module[`${operation}Command`](input),
      { abortSignal: control.signal },
    );
    if (result.EventStream) {
      result.EventStream = await readEvents(result.EventStream, control);
    }
    const told = JSON.parse(JSON.stringify(result, tellBytes));
    return { result: told, requestId: $metadata.requestId };
  } catch (err) {
    return {
      error: {
        code: err.name,
        message: err.message,
        status: err.$metadata?.httpStatusCode ?? null,
        // Whether it has the class that an app would catch.
        typed: module[err.name] !== undefined && err instanceof module[err.name],
      },
    };
  } finally {
    client.destroy();
  }
}

answerLines(perform);
