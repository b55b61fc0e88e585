#!/usr/bin/env bash
# Helm's toToml writes every whole number of a chart's values as a float: 8014 becomes 8014.0, and
# 100000000 becomes 1e+08. Programs with typed TOML refuse both where they want an integer.
#
# Versions   Helm 4.2.3, as a library in the wheel helm-python-sdk 0.2.2. Needs Python 3 on Linux
#            (x86_64) or macOS.
# One would guess that a number keeps its kind, as with toYaml and toJson of the same values.
# Seen       toYaml and toJson have `8014`; toToml has `8014.0` and `1e+08`, in lists as well. The
#            int function before it mends one value; a table of settings has to be walked through.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet install helm-python-sdk==0.2.2
mkdir -p "$folder/chart/templates"
printf 'apiVersion: v2\nname: numbers\nversion: 0.1.0\n' >"$folder/chart/Chart.yaml"
printf 'settings: {port: 8014, bytes: 100000000, list: [1, 2]}\n' >"$folder/chart/values.yaml"
cat >"$folder/chart/templates/all.txt" <<'TEMPLATE'
{{ toToml .Values.settings }}
{{ toJson .Values.settings }}
{{ toToml (dict "port" (int .Values.settings.port)) }}
TEMPLATE
"$folder/venv/bin/python" - "$folder/chart" <<'PYTHON'
import sys

import helm_python as helm

with helm.Chart.load(sys.argv[1]) as chart:
    (text,) = chart.render({}, name="x", namespace="y").values()
print(text)
seen = ["bytes = 1e+08", "port = 8014.0", "list = [1.0, 2.0]", '"port":8014', "port = 8014\n"]
sys.exit(not all(each in text for each in seen))
PYTHON
