#!/usr/bin/env bash
# The strict schemas of Kubernetes know which fields there are, and next to nothing of what may stand
# in them: a memory limit of "1GB", a port 70000 and a container called "My App" are all right.
#
# Versions   kubernetes-validate 1.37.0, whose schemas are made from Kubernetes' own OpenAPI, as are
#            those of other checkers of manifests. Needs Python 3.
# One would guess that "strict" refuses what no API server takes: quantities have suffixes such as
#            Gi and G, ports end at 65535, names are DNS labels.
# Seen       All three pass; a misspelled field beside them is refused. What the values may be is
#            checked by code of the API server alone, so a chart has to say it in a schema of its own.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet install kubernetes-validate==1.37.0
cat >"$folder/try.py" <<'PYTHON'
import sys

from kubernetes_validate import ValidationError, validate


def passes(**container):
    spec = {"containers": [{"name": "app", "image": "app:1", **container}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app"}, "spec": spec}
    try:
        validate(pod, "1.37", strict=True)
    except ValidationError as error:
        print(container, "is refused:", error.message[:60])
        return False
    print(container, "passes")
    return True


wrong = [
    passes(resources={"limits": {"memory": "1GB"}}),
    passes(ports=[{"containerPort": 70000}]),
    passes(name="My App"),
]
sys.exit(not all(wrong) or passes(port=80))
PYTHON
"$folder/venv/bin/python" "$folder/try.py"
