#!/usr/bin/env bash
# swagger-client 3.37.3: in a page that was opened from a file, a document of OpenAPI 3.1 loses its own references.
#
# Versions   swagger-client 3.37.3 of npm (what resolves references in Swagger UI), Node.js 20 or newer.
# One would guess that a document which is handed over as an object needs nothing but itself: the
#            reference "#/components/schemas/A" leads into it, wherever the page came from. For
#            OpenAPI 3.0 it does.
# Seen       For OpenAPI 3.1 it does as long as the address of the page (`baseDoc`) is of http or
#            https. With file: there is an error, "Could not resolve reference", for each reference,
#            and the schema stays a bare reference. So a page that works from a server is a page of
#            errors when it is opened from a folder. Any http address as the name of the document
#            mends it; nothing is fetched from there.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private": true, "type": "module"}' >package.json
npm install --silent --no-audit --no-fund swagger-client@3.37.3
cat >try.js <<'JS'
import SwaggerClient from "swagger-client";

const schema = { $ref: "#/components/schemas/A" };
const content = { "application/json": { schema } };
const get = { responses: { 200: { description: "An A.", content } } };
const document = {
  info: { title: "An API", version: "1" },
  paths: { "/a": { get } },
  components: { schemas: { A: { type: "string" } } },
};

async function type(openapi, baseDoc) {
  const spec = structuredClone({ openapi, ...document });
  const found = await SwaggerClient.resolveSubtree(spec, ["paths", "/a", "get"], { baseDoc });
  const answer = found.spec.responses["200"].content["application/json"].schema;
  return `${answer.type ?? "unresolved"}, ${found.errors.length} errors`;
}

const seen = [];
for (const openapi of ["3.0.4", "3.1.0"]) {
  for (const place of ["http://a.example/page.html", "file:///folder/page.html"]) {
    seen.push(`${openapi} ${place}: ${await type(openapi, place)}`);
  }
}
console.log(seen.join("\n"));
const expected = ["string, 0", "string, 0", "string, 0", "unresolved, 1"];
const same = seen.every((each, at) => each.includes(`: ${expected[at]} `));
process.exit(same ? 0 : 1);
JS
node try.js
