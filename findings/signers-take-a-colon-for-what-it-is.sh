#!/usr/bin/env bash
# Debian 12's curl --aws-sigv4, and a signer of PyPI, sign a path with a colon as no service has it.
#
# Versions   curl 7.88.1 of Debian 12 (apt-get install curl); libcurl 8.23.0 in the wheel pycurl 7.49.0;
#            requests-auth-aws-sigv4 0.7, requests-aws4auth 1.4.0, awscurl 0.44 and botocore 1.43.117 of
#            PyPI; aws4fetch 1.0.20 and aws4 1.13.2 of npm, Node.js 20 or newer.
# One would guess that who offers Signature Version 4 for any service signs any path of one, and that
#            all of them make the signature that botocore makes. An identity id has a colon, which
#            stands in every path of Cognito Sync.
# Seen       AWS's rules for all services but S3 encode each segment once more for the signature: a
#            colon is %3A in it, and a %3A in the URL is %253A. Debian 12's curl and
#            requests-auth-aws-sigv4 sign the path as it is, so there is no way to write the URL that
#            they sign right, and the service answers 403. With plain letters, such as the single
#            path of most services, they work. libcurl 8.23 and the others sign as botocore does.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pycurl==7.49.0 requests-auth-aws-sigv4==0.7 \
  requests-aws4auth==1.4.0 awscurl==0.44 botocore==1.43.117
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund aws4fetch@1.0.20 aws4@1.13.2
cat >serve.py <<'PYTHON'
import http.server
import re

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

SIGNED = re.compile("SignedHeaders=([^, ]+).*Signature=([0-9a-f]{64})")


class Service(http.server.BaseHTTPRequestHandler):
    """Answers 200 when botocore makes the same signature of the request that came, else 403."""

    def do_GET(self):
        names, signature = SIGNED.search(self.headers["authorization"]).groups()
        request = AWSRequest(
            method="GET",
            url=f"http://{self.headers['host']}{self.path}",
            headers={name: self.headers[name] for name in names.split(";")},
        )
        request.context["timestamp"] = self.headers["x-amz-date"]
        signer = SigV4Auth(Credentials("key", "secret"), "cognito-sync", "us-east-1")
        text = signer.string_to_sign(request, signer.canonical_request(request))
        body = b"right" if signer.signature(text, request) == signature else b"wrong"
        self.send_response(200 if body == b"right" else 403)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
print(server.server_address[1], flush=True)
server.serve_forever()
PYTHON
venv/bin/python serve.py >port &
server=$!
until [ -s port ]; do sleep 0.1; done
cat >try.py <<'PYTHON'
import io
import os
import subprocess
import sys

import pycurl
import requests
from requests_auth_aws_sigv4 import AWSSigV4
from requests_aws4auth import AWS4Auth

KEY, SECRET, REGION, SERVICE = "key", "secret", "us-east-1", "cognito-sync"
os.environ |= {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}


def curl(url):
    words = ["--silent", "--aws-sigv4", f"aws:amz:{REGION}:{SERVICE}", "--user", f"{KEY}:{SECRET}"]
    return subprocess.run(["/usr/bin/curl", *words, url], capture_output=True, text=True).stdout


def libcurl(url):
    handle, body = pycurl.Curl(), io.BytesIO()
    handle.setopt(pycurl.URL, url)
    handle.setopt(pycurl.AWS_SIGV4, f"aws:amz:{REGION}:{SERVICE}")
    handle.setopt(pycurl.USERPWD, f"{KEY}:{SECRET}")
    handle.setopt(pycurl.WRITEDATA, body)
    handle.perform()
    return body.getvalue().decode()


def sigv4(url):
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET}
    return requests.get(url, auth=AWSSigV4(SERVICE, region=REGION, **keys)).text


def aws4auth(url):
    return requests.get(url, auth=AWS4Auth(KEY, SECRET, REGION, SERVICE)).text


def awscurl(url):
    words = ["venv/bin/awscurl", "--service", SERVICE, "--region", REGION, url]
    return subprocess.run(words, capture_output=True, text=True).stdout.strip()


seen = {}
for ask in (curl, sigv4, libcurl, aws4auth, awscurl):
    paths = ("identities/us-east-1:1", "identities/us-east-1%3A1", "identities/1")
    seen[ask.__name__] = [ask(f"{sys.argv[1]}/{path}") for path in paths]
for each in seen.items():
    print(*each)
as_it_is, right = ["wrong", "wrong", "right"], ["right"] * 3
sys.exit(list(seen.values()) != [as_it_is] * 2 + [right] * 3)
PYTHON
cat >try.mjs <<'JS'
import http from 'node:http'
import aws4 from 'aws4'
import { AwsClient } from 'aws4fetch'

const url = process.argv[2]
const keys = { accessKeyId: 'key', secretAccessKey: 'secret' }
const client = new AwsClient({ ...keys, service: 'cognito-sync', region: 'us-east-1' })
const seen = []
for (const path of ['/identities/us-east-1:1', '/identities/us-east-1%3A1', '/identities/1']) {
  seen.push(await (await client.fetch(url + path)).text())
  const { host, hostname, port } = new URL(url)
  const { headers } = aws4.sign({ host, path, service: 'cognito-sync', region: 'us-east-1' }, keys)
  seen.push(await new Promise((resolve) => http.get({ hostname, port, path, headers }, (response) => {
    let text = ''
    response.on('data', (data) => { text += data }).on('end', () => resolve(text))
  })))
}
console.log('aws4fetch and aws4:', seen.join(' '))
process.exit(seen.every((each) => each === 'right') ? 0 : 1)
JS
url=http://127.0.0.1:$(cat port)
venv/bin/python try.py "$url" 2>errors || { cat errors >&2; exit 1; }
NODE_NO_WARNINGS=1 node try.mjs "$url"
