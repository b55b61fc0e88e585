#!/usr/bin/env bash
# openapi-python-client leaves out each operation whose body is JSON by the name that AWS gives it.
#
# Versions   openapi-python-client 0.29.1 of PyPI, Python 3; openapi-typescript 7.13.0 of npm, Node.js 20 or
#            newer.
# One would guess that a body with a schema is generated whatever its media type is called, as by
#            openapi-typescript, or that a generator which cannot do so fails. Kinesis and Cognito
#            Identity speak application/x-amz-json-1.1.
# Seen       A warning, the exit status 0, and a client without the operation: JSON is
#            application/json to it, and what ends in +json. With that name under content_type_overrides
#            in its configuration the operation is there, and is sent under AWS's name.
#            --fail-on-warning makes it fail.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check openapi-python-client==0.29.1
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund openapi-typescript@7.13.0 typescript@5.9.3
cat >document.json <<'JSON'
{
  "openapi": "3.1.0",
  "info": {"title": "Streams", "version": "1"},
  "paths": {"/": {"post": {
    "operationId": "createStream",
    "requestBody": {"required": true, "content": {"application/x-amz-json-1.1": {"schema": {
      "type": "object", "properties": {"StreamName": {"type": "string"}}}}}},
    "responses": {"200": {"description": "It is created."}}
  }}}
}
JSON
echo 'post_hooks: []' >usual.yaml
cat usual.yaml - >told.yaml <<'YAML'
content_type_overrides: {application/x-amz-json-1.1: application/json}
YAML
generate() {
  venv/bin/openapi-python-client generate --path document.json --meta none \
    --config "$1.yaml" --output-path "$1" --overwrite "${@:2}" 2>&1
}
generate usual >printed || { cat printed; exit 1; }
grep "Unsupported content type" printed
generate told >printed || { cat printed; exit 1; }
npx openapi-typescript document.json >typescript.d.ts 2>/dev/null
[ "$(find usual -name 'create_stream*')" = "" ]
echo "operations, usual: none; told:" told/api/*/create*
grep '"Content-Type"\] = "application/x-amz-json-1.1"' told/api/default/create_stream.py
grep '"application/x-amz-json-1.1": {' typescript.d.ts
if generate usual --fail-on-warning >printed; then exit 1; fi
