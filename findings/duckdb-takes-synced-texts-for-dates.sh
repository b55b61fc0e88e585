#!/usr/bin/env bash
# DuckDB and pandas read the text of a synced record as a date, a time, a UUID or a number.
#
# Versions   duckdb 2.0.1, pandas 3.1.1 and polars 2.1.0 of PyPI, Python 3.
# One would guess that what is a string in JSON is a string in the table: JSON has types of its
#            own, and it is CSV whose readers have to guess.
# Seen       DuckDB looks into strings, also of lists in structures: if all values that it samples look
#            like it, the value of a record is a DATE, TIME, TIMESTAMP or UUID. "10:30" comes back as
#            10:30:00, "2026-1-5" as 2026-01-05, a UUID in small letters; and one other text behind
#            the sample (20,480 lines) fails the whole query. Digits stay text there; pandas.read_json
#            makes "007" 7.0, once all others are numbers, too. polars keeps texts. Told the
#            columns, DuckDB keeps them as well, and pandas does with dtype=False.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install duckdb==2.0.1 pandas==3.1.1 polars==2.1.0
cat >try.py <<'PYTHON'
import json
import sys

import duckdb
import pandas
import polars

COLUMNS = "{data: 'STRUCT(kinesisSyncRecords STRUCT(\"key\" VARCHAR, \"value\" VARCHAR)[])'}"
VALUES = """
    SELECT typeof(record.value), record.value::VARCHAR
    FROM (SELECT unnest(data.kinesisSyncRecords) AS record FROM read_json('lines.jsonl'{}))
"""


def write(*values):
    """A stream of events, a line each, with a record in each."""
    with open("lines.jsonl", "w") as lines:
        for value in values:
            data = {"kinesisSyncRecords": [{"key": "k", "value": value, "syncCount": 1}]}
            print(json.dumps({"partitionKey": "us-east-1:i", "data": data}), file=lines)


def read(*values, more=""):
    write(*values)
    return duckdb.sql(VALUES.format(more)).fetchall()


seen = [
    read("10:30"),
    read("2026-1-5", None),
    read("7C4F5E0A-2F0B-4B9E-9D8C-0A1B2C3D4E5F"),
    read("007"),
    read("10:30", "teal"),
    read("10:30", more=f", columns={COLUMNS}"),
]
for each in seen:
    print(each)
write(*["10:30"] * 30_000, "teal")
try:
    duckdb.sql(f"SELECT count(*) FROM ({VALUES.format('')})").fetchall()
    late = "read"
except duckdb.InvalidInputException as error:
    late = "transform error" if "transform error" in str(error) else str(error)
print("another text behind the sample:", late)

with open("records.jsonl", "w") as lines:
    for value in ("007", "1e3"):
        print(json.dumps({"Key": "k", "Value": value}), file=lines)
others = [
    pandas.read_json("records.jsonl", lines=True)["Value"].to_list(),
    pandas.read_json("records.jsonl", lines=True, dtype=False)["Value"].to_list(),
    polars.read_ndjson("records.jsonl")["Value"].to_list(),
]
print("pandas, pandas with dtype=False, polars:", others)
sys.exit(
    seen
    != [
        [("TIME", "10:30:00")],
        [("DATE", "2026-01-05"), ("DATE", None)],
        [("UUID", "7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f")],
        [("VARCHAR", "007")],
        [("VARCHAR", "10:30"), ("VARCHAR", "teal")],
        [("VARCHAR", "10:30")],
    ]
    or late != "transform error"
    or others != [[7.0, 1000.0], ["007", "1e3"], ["007", "1e3"]]
)
PYTHON
venv/bin/python try.py
