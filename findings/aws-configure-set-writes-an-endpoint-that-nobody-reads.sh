#!/usr/bin/env bash
# `aws configure set cognito_sync.endpoint_url URL` writes what no AWS CLI or SDK reads: calls go to AWS.
#
# Versions   awscli 1.46.3 of PyPI, and Debian 12's awscli 2.9.19, which knows no such setting yet
#            and is asked only what it writes (apt-get install awscli); @aws-sdk/client-cognito-sync
#            of npm as pinned below, Node.js 20 or newer.
# One would guess that the command puts the endpoint of one service where it belongs, as
#            `aws configure set s3.addressing_style path` does with a setting of S3, above all as
#            `aws configure get cognito_sync.endpoint_url` answers with the URL.
# Seen       It goes below cognito_sync in the profile. Endpoints of a service are read from a
#            section [services NAME] to which the profile has to point by `services = NAME`, and
#            that the command cannot write. No word of a warning: calls that were to stay in the house
#            go to the public endpoint, signed with whatever keys there are. `endpoint_url` of the
#            profile itself, for all services, is read.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check awscli==1.46.3 2>"$folder/pip.log" ||
  { cat "$folder/pip.log" >&2; exit 2; }
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund @aws-sdk/client-cognito-sync@3.1124.0
cat >where.py <<'PYTHON'
from awscli.botocore.session import Session  # the CLI's own copy of botocore

print(Session().create_client("cognito-sync").meta.endpoint_url)
PYTHON
cat >where.js <<'JS'
const { CognitoSyncClient, ListDatasetsCommand } = require('@aws-sdk/client-cognito-sync')
const client = new CognitoSyncClient({})
const stop = () => async ({ request: { protocol, hostname, port } }) => {
  console.log(`${protocol}//${hostname}${port ? `:${port}` : ''}`)
  process.exit()
}
client.middlewareStack.add(stop, { step: 'finalizeRequest', priority: 'low' })
client.send(new ListDatasetsCommand({ IdentityPoolId: 'us-east-1:p', IdentityId: 'us-east-1:i' }))
JS
export HOME="$folder" AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b AWS_REGION=us-east-1
export AWS_DEFAULT_REGION=us-east-1 NODE_NO_WARNINGS=1
unset AWS_CONFIG_FILE AWS_PROFILE AWS_DEFAULT_PROFILE AWS_ENDPOINT_URL AWS_ENDPOINT_URL_COGNITO_SYNC
here=http://127.0.0.1:8014
public=https://cognito-sync.us-east-1.amazonaws.com
is() { echo "$1: $2"; [ "$2" = "$3" ] || exit 1; }
for aws in venv/bin/aws /usr/bin/aws; do
  rm -rf .aws
  "$aws" configure set cognito_sync.endpoint_url "$here"
  is "$aws says" "$("$aws" configure get cognito_sync.endpoint_url)" "$here"
  is "the file" "$(tr -d '\n' <.aws/config)" "[default]cognito_sync =    endpoint_url = $here"
done
is "AWS CLI 1 calls" "$(venv/bin/python where.py)" "$public"
is "JavaScript calls" "$(node where.js)" "$public"
printf '[default]\nservices = mine\n[services mine]\ncognito_sync =\n  endpoint_url = %s\n' "$here" >.aws/config
is "with a section of services AWS CLI 1 calls" "$(venv/bin/python where.py)" "$here"
is "and JavaScript" "$(node where.js)" "$here"
rm .aws/config
venv/bin/aws configure set endpoint_url "$here"
is "with endpoint_url alone AWS CLI 1 calls" "$(venv/bin/python where.py)" "$here"
is "and JavaScript" "$(node where.js)" "$here"
