#!/usr/bin/env bash
# A traced Node.js program sends its trace to Cognito Sync, and none to Kinesis.
#
# Versions   @opentelemetry/sdk-node and instrumentation-http 0.223.0, instrumentation-aws-sdk 0.78.0,
#            @aws-sdk/client-cognito-sync and client-kinesis as pinned below, Node.js 20 or newer, npm.
# One would guess that with the instrumentations of the AWS SDK and of HTTP every call of the SDK
#            carries a traceparent, or none does: it has a span for every one.
# Seen       The span of the SDK puts nothing into the request; that of HTTP below it does, and it
#            knows Node.js' http and https alone. The SDK's client of Kinesis speaks HTTP/2, so
#            its calls have a span, no span below it, and neither a traceparent nor X-Amzn-Trace-Id.
#            The server begins a new trace with each. A NodeHttpHandler as the client's requestHandler
#            speaks HTTP/1.1, and its calls carry the trace.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund @opentelemetry/sdk-node@0.223.0 \
  @opentelemetry/instrumentation-http@0.223.0 @opentelemetry/instrumentation-aws-sdk@0.78.0 \
  @aws-sdk/client-cognito-sync@3.1124.0 @aws-sdk/client-kinesis@3.1143.0 \
  @smithy/node-http-handler@4.14.2
cat >try.js <<'JS'
const { NodeSDK, tracing } = require('@opentelemetry/sdk-node')
const { AwsInstrumentation } = require('@opentelemetry/instrumentation-aws-sdk')
const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http')

const spans = new tracing.InMemorySpanExporter()
new NodeSDK({
  spanProcessors: [new tracing.SimpleSpanProcessor(spans)],
  instrumentations: [new AwsInstrumentation(), new HttpInstrumentation()],
}).start()

const http = require('node:http')
const http2 = require('node:http2')
const { CognitoSyncClient, ListDatasetsCommand } = require('@aws-sdk/client-cognito-sync')
const { KinesisClient, ListStreamsCommand } = require('@aws-sdk/client-kinesis')
const { NodeHttpHandler } = require('@smithy/node-http-handler')

let asked
const answer = (request, response) => {
  const { traceparent, 'x-amzn-trace-id': ray } = request.headers
  asked = { http: request.httpVersion, traced: traceparent !== undefined || ray !== undefined }
  response.end('{"StreamNames": [], "HasMoreStreams": false}')
}
const listen = (server) => new Promise((resolve) => {
  server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}`))
})
;(async () => {
  const usual = { region: 'us-east-1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } }
  const one = await listen(http.createServer(answer))
  const two = await listen(http2.createServer(answer))
  const seen = []
  const call = async (client, command) => {
    spans.reset()
    await client.send(command)
    let span
    while (!span) { // it ends a moment after the answer; those of HTTP are called GET and POST
      await new Promise(setImmediate)
      span = spans.getFinishedSpans().find(({ name }) => name.includes('.'))
    }
    seen.push([asked.http, asked.traced, span.name].join(' '))
  }
  const ids = { IdentityPoolId: 'us-east-1:p', IdentityId: 'us-east-1:i' }
  await call(new CognitoSyncClient({ ...usual, endpoint: one }), new ListDatasetsCommand(ids))
  await call(new KinesisClient({ ...usual, endpoint: two }), new ListStreamsCommand({}))
  const requestHandler = new NodeHttpHandler()
  await call(
    new KinesisClient({ ...usual, endpoint: one, requestHandler }), new ListStreamsCommand({}))
  console.log(seen)
  const expected = [
    '1.1 true CognitoSync.ListDatasets', '2.0 false Kinesis.ListStreams',
    '1.1 true Kinesis.ListStreams',
  ]
  process.exit(seen.join() === expected.join() ? 0 : 1)
})()
JS
NODE_NO_WARNINGS=1 node try.js
