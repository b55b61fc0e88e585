#!/usr/bin/env bash
# In browsers the AWS SDK for JavaScript v3 asks another path for a dataset named by dots.
#
# Versions   @aws-sdk/client-cognito-sync and @smithy/fetch-http-handler (what it sends with in
#            browsers) as pinned below, Node.js 20 or newer, npm.
# One would guess that the dataset '..', which the pattern of DatasetName allows, is asked for as
#            any other, or is refused before anything is sent.
# Seen       By the handler of Node.js it is asked for as `.../datasets/..`. By that of browsers
#            the URL is put in order on the way, so DescribeDataset asks for `.../<identity id>/`,
#            where the API has DescribeIdentityUsage, and '.' for the list of datasets. The
#            signature is made over the ordered path, so nobody finds fault with it; the answer
#            is taken for a dataset.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund \
  @aws-sdk/client-cognito-sync@3.1124.0 @smithy/fetch-http-handler@5.8.1
cat >try.mjs <<'JAVASCRIPT'
import { createServer } from "node:http";
import { CognitoSyncClient, DescribeDatasetCommand } from "@aws-sdk/client-cognito-sync";
import { FetchHttpHandler } from "@smithy/fetch-http-handler";

const asked = [];
const server = createServer(({ url }, answer) => {
  asked.push(url.slice(url.indexOf("/identities/") + "/identities/".length));
  answer.setHeader("content-type", "application/json").end("{}");
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
for (const requestHandler of [undefined, new FetchHttpHandler()]) {
  const client = new CognitoSyncClient({
    endpoint: `http://127.0.0.1:${server.address().port}`,
    region: "us-east-1",
    credentials: { accessKeyId: "AKID", secretAccessKey: "secret" },
    requestHandler,
  });
  for (const DatasetName of ["..", "."]) {
    const input = { IdentityPoolId: "us-east-1:0f", IdentityId: "us-east-1:1e", DatasetName };
    await client.send(new DescribeDatasetCommand(input));
  }
}
console.log(asked.join("\n"));
process.exit();
JAVASCRIPT
seen=$(NODE_NO_WARNINGS=1 node try.mjs)
echo "$seen"
test "$seen" = "us-east-1%3A1e/datasets/..
us-east-1%3A1e/datasets/.
us-east-1%3A1e/
us-east-1%3A1e/datasets/"
