#!/usr/bin/env bash
# The two AWS CLIs disagree on which of two variables names the profile.
#
# Versions   awscli 1.46.3 of PyPI, and Debian 12's awscli 2.9.19 (apt-get install awscli).
# One would guess that AWS_PROFILE, which every guide names, wins over the older
#            AWS_DEFAULT_PROFILE in both, as AWS_REGION wins over AWS_DEFAULT_REGION.
# Seen       Version 1, and botocore with boto3, take AWS_DEFAULT_PROFILE; version 2 takes
#            AWS_PROFILE. A shell that has both signs with other keys after an upgrade.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet install awscli==1.46.3
two=/usr/bin/aws
[[ $("$two" --version) == "aws-cli/2.9.19 "* ]] ||
  { echo "needs Debian 12's awscli: apt-get install awscli" >&2; exit 1; }
printf '[profile old]\nregion = of-default\n[profile new]\nregion = of-plain\n' >"$folder/config"
region() {
  env -i HOME="$folder" PATH="$PATH" AWS_CONFIG_FILE="$folder/config" \
    AWS_EC2_METADATA_DISABLED=true AWS_DEFAULT_PROFILE=old AWS_PROFILE=new \
    "$1" configure get region
}
one_says=$(region "$folder/venv/bin/aws")
two_says=$(region "$two")
echo "1.46.3: $one_says   2.9.19: $two_says"
[[ "$one_says $two_says" == "of-default of-plain" ]]
