"""
Record what version 2 of the AWS CLI does with the command lines of `aws2_cases`:

    apt-get install awscli      # Debian 12 has 2.9.19
    PYTHONPATH=tests python tests/cli/aws2_record.py [CASE ...]

With names of cases, those alone are recorded anew. All of them take two minutes, or ten
on a busy machine; nothing but the loopback is called.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from cli.aws2_cases import CASES
from cli.aws2_run import PROGRAM, RECORDED, load, run_program, version_of
from cli.stub import Stub


def main() -> int:
    """Run every case, and write what came of it, one line each."""
    version = version_of(PROGRAM)
    if version is None:
        print(f"{PROGRAM} is no AWS CLI of version 2", file=sys.stderr)
        return 1
    names = sys.argv[1:]
    kept = load() if names else {}
    stub = Stub()
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for name, case in CASES.items():
            done = kept.get(name)
            if done is None or name in names:
                done = run_program(PROGRAM, case, Path(folder) / "home", stub)
            lines.append(json.dumps({"name": name, **done}, ensure_ascii=False))
    stub.close()
    RECORDED.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    print(f"{len(lines)} runs of {version} -> {RECORDED}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
