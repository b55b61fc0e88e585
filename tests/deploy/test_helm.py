"""The Helm chart: rendered by Helm itself, held to Kubernetes' schemas, to the image
and to the settings, and started as far as that goes without a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import validate

from deploy.helm_charts import MISSING, NAMESPACE, Helm
from deploy.test_containers import environment_of_image, last, make_folder
from millpond import __version__, settings
from millpond.cli.commands import COMMANDS
from millpond.server.app import WORKERS_S_MAX
from millpond.testing.ports import free_port
from millpond.testing.server import wait_until

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "millpond"
# Of operators and of the Gateway API; their schemas are no part of Kubernetes.
CUSTOM = {"HTTPRoute", "ServiceMonitor", "PrometheusRule"}
KUBERNETES = ("1.25", "1.30", "1.37")
STORE = "postgresql://millpond:secret@db.example/millpond"
GIVEN = {
    "region": "eu-central-1",
    "log_level": "debug",
    "log_format": "console",
    "host": "::",
    "readers": 3,
    "drain_s": 40,
    "request_bodies_bytes_max": 268_435_456,
    "trusted_proxies": ["10.0.0.0/8", "fd00::/8"],
    "streams": {"changes": "nats://nats:4222/changes", "a.b": "embedded:"},
    "login_providers": {"login.example": {"client_ids": ['<a> & "b"']}},
    "imports": {"eu-central-1:aa": {"timeout_s": 5, "claims_until": "2027-01-31"}},
}
PEER = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "proxy"}}}
EVERYTHING: dict[str, Any] = {
    "image": {
        "repository": "registry.example:5000/team/millpond",
        "digest": f"sha256:{'ab' * 32}",
        "pullSecrets": [{"name": "registry"}],
    },
    "settings": GIVEN,
    "initScripts": {"10-pool.sh": "millpond pool list\n", "20-more.py": "print(1)\n"},
    "secret": {"name": "ours", "keys": {"store": "url"}},
    "extraEnv": [{"name": "AWS_REGION", "value": "eu-central-1"}],
    "extraEnvFrom": [{"secretRef": {"name": "aws"}}],
    "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca", "readOnly": True}],
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:x"}},
    "podAnnotations": {"a": "b"},
    "podLabels": {"team": "sync"},
    "priorityClassName": "high",
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "service": {
        "type": "LoadBalancer",
        "port": 443,
        "externalTrafficPolicy": "Local",
        "annotations": {"a": "b"},
    },
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "annotations": {"a": "b"},
        "hosts": ["sync.example.com", "*.example.org"],
        "tls": [{"secretName": "tls", "hosts": ["sync.example.com"]}],
    },
    "httpRoute": {
        "enabled": True,
        "parentRefs": [{"name": "gateway"}],
        "hostnames": ["sync.example.com"],
    },
    "podDisruptionBudget": {"maxUnavailable": "25%"},
    "autoscaling": {"enabled": True},
    "networkPolicy": {
        "enabled": True,
        "from": [PEER],
        "egress": [{"ports": [{"port": 5432, "protocol": "TCP"}]}],
    },
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    "dashboard": {"enabled": True},
}
# Everything that can be left out is.
NOTHING: dict[str, Any] = {
    "stopDelaySeconds": 0,
    "settings": {"drain_s": 0, "tls_certificate": "/tls/crt", "tls_key": "/tls/key"},
    "migrate": {"enabled": False},
    "serviceAccount": {"create": False},
    "podDisruptionBudget": {"enabled": False},
    "networkPolicy": {"enabled": True},
    "serviceMonitor": {"enabled": True},
}
PAGE = (ROOT / "docs" / "howto" / "kubernetes.md").read_text("utf-8")
ON_PAGE = yaml.safe_load(PAGE.partition("```yaml\n")[2].partition("```")[0])
GOOD = {
    "defaults": {},
    "everything": EVERYTHING,
    "nothing": NOTHING,
    "on the page": ON_PAGE,
}
OPEN = {"ingress": {"enabled": True, "hosts": ["sync.example.com"]}}
# Where it is, and what must not be there.
BAD: dict[str, dict[str, Any]] = {
    "replicas": {"replicas": 3},
    "replicaCount": {"replicaCount": "two"},
    "regoin": {"settings": {"regoin": "eu-west-1"}},
    "store": {"settings": {"store": STORE}},
    "secret_key": {"settings": {"secret_key": "ab" * 32}},
    "ephemeral": {"settings": {"ephemeral": True}},
    "drain_s": {"settings": {"drain_s": -1}},
    "account_id": {"settings": {"account_id": 123456789012}},
    "trusted_proxies": {"settings": {"trusted_proxies": "10.0.0.0/8"}},
    "keys": {"secret": {"keys": {"stroe": "url"}}},
    "pool.rb": {"initScripts": {"pool.rb": "puts 1"}},
    "extraEnv": {"extraEnv": [{"name": "MILLPOND_REGION", "value": "eu-west-1"}]},
    "hosts": {"ingress": {"enabled": True}},
    "parentRefs": {"httpRoute": {"enabled": True, "hostnames": ["a.example"]}},
    "repository": {"image": {"repository": "millpond:1.2"}},
    "digest": {"image": {"digest": "1234"}},
    # Kubernetes' own schemas take any text for an amount.
    "memory": {"resources": {"limits": {"memory": "1GB"}}},
    "interval": {"serviceMonitor": {"interval": "30"}},
    "stopDelaySeconds": {"stopDelaySeconds": 1.5},
}


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """The chart, rendered with all values of this file."""
    cases = (
        {"open": OPEN} | GOOD | {f"bad {name}": values for name, values in BAD.items()}
    )
    return Helm(CHART, cases, tmp_path_factory.mktemp("chart"))


def pods(helm: Helm, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """List what runs somewhere: the kind of its object, and the template of its pod."""
    for each in helm.manifests(name):
        if each["kind"] in ("Deployment", "Job"):
            yield each["kind"], each["spec"]["template"]
        elif each["kind"] == "Pod":
            yield each["kind"], each


def server(helm: Helm, name: str) -> dict[str, Any]:
    """Give the specification of the pods of servers."""
    spec: dict[str, Any] = dict(pods(helm, name))["Deployment"]["spec"]
    return spec


def written_settings(helm: Helm, name: str) -> str:
    """Give the settings file."""
    data: dict[str, str] = helm.one(name, "ConfigMap")["data"]
    return data["millpond.toml"]


def test_helm_finds_nothing_wrong(helm):
    """Neither warnings nor errors; what it recommends is for a catalogue."""
    assert [each for each in helm.findings if each["severity"] > 1] == []


def test_the_version_is_that_of_millpond():
    """A chart knows the settings of one version."""
    told = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))

    assert told["version"] == told["appVersion"] == __version__


@pytest.mark.parametrize("name", GOOD)
def test_kubernetes_knows_every_word(helm, name):
    """Strictly: a misspelled field is no field. On the oldest release that we name,
    too."""
    seen = set()
    for each in helm.manifests(name):
        seen.add(each["kind"])
        if each["kind"] not in CUSTOM:
            for version in KUBERNETES:
                # It takes the schema of an older release where it has none.
                assert validate(each, version, strict=True) == version

    assert {"Deployment", "Service", "ConfigMap"} <= seen
    if name == "everything":
        wanted = {"Job", "Pod", "ServiceAccount", "Ingress", "PodDisruptionBudget"}
        wanted |= {"HorizontalPodAutoscaler", "NetworkPolicy", *CUSTOM}
        assert wanted <= seen


@pytest.mark.parametrize("name", GOOD)
def test_pods_have_no_rights(helm, name):
    """Whatever runs meets the strictest of the pod security standards, and more."""
    for kind, pod in pods(helm, name):
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False, (
            f"{kind}: MILLPOND_PORT would be set"
        )
        of_pod = spec["securityContext"]
        assert of_pod["runAsNonRoot"] is True
        assert of_pod["runAsUser"] == int(last("USER"))
        assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}


@pytest.mark.parametrize("name", GOOD)
def test_requests_find_servers_alone(helm, name):
    """All that selects pods selects those of servers, and no job or test."""
    labels = {kind: pod["metadata"]["labels"].items() for kind, pod in pods(helm, name)}
    deployment = helm.one(name, "Deployment")["spec"]
    selectors = [deployment["selector"]["matchLabels"]]
    selectors.append(helm.one(name, "Service")["spec"]["selector"])
    for each in helm.manifests(name):
        if each["kind"] == "PodDisruptionBudget":
            selectors.append(each["spec"]["selector"]["matchLabels"])
        elif each["kind"] == "NetworkPolicy":
            selectors.append(each["spec"]["podSelector"]["matchLabels"])
    spreads = server(helm, name)["topologySpreadConstraints"]
    selectors += [each["labelSelector"]["matchLabels"] for each in spreads]

    assert len(selectors) >= 4
    for selector in selectors:
        matched = {kind for kind, has in labels.items() if selector.items() <= has}
        assert matched == {"Deployment"}


def test_who_may_call(helm):
    """Who is named, and the pod of `helm test`; everybody, when nobody is named."""
    (rule,) = helm.one("everything", "NetworkPolicy")["spec"]["ingress"]
    named, tester = rule["from"]
    (pod,) = [pod for kind, pod in pods(helm, "everything") if kind == "Pod"]
    wanted = tester["podSelector"]["matchLabels"].items()

    assert named == PEER
    assert wanted <= pod["metadata"]["labels"].items()
    (rule,) = helm.one("nothing", "NetworkPolicy")["spec"]["ingress"]
    assert "from" not in rule


def test_prometheus_finds_the_service(helm):
    """By its labels and the name of its port, as the job that the rules name."""
    service = helm.one("everything", "Service")
    monitor = helm.one("everything", "ServiceMonitor")["spec"]
    (port,) = service["spec"]["ports"]
    (endpoint,) = monitor["endpoints"]

    wanted = monitor["selector"]["matchLabels"]
    assert wanted.items() <= service["metadata"]["labels"].items()
    assert endpoint["port"] == port["name"]
    assert endpoint["path"] == "/metrics"
    (relabeling,) = endpoint["relabelings"]
    assert (relabeling["targetLabel"], relabeling["replacement"]) == ("job", "millpond")


def test_rules_and_dashboard_are_those_of_deploy(helm):
    """Word for word, and in the archive that `helm package` makes as well."""
    rules, dashboard = (
        ROOT / "deploy" / "prometheus" / "rules.yaml",
        ROOT / "deploy" / "grafana" / "millpond.json",
    )
    told = helm.one("everything", "PrometheusRule")["spec"]
    assert told == yaml.safe_load(rules.read_text("utf-8"))
    shown = helm.one("everything", "ConfigMap", "-dashboard")["data"]["millpond.json"]
    assert json.loads(shown) == json.loads(dashboard.read_text("utf-8"))
    with tarfile.open(helm.archive) as archive:
        for name, file in (("rules.yaml", rules), ("dashboard.json", dashboard)):
            packed = archive.extractfile(f"millpond/files/{name}")
            assert packed is not None
            assert packed.read() == file.read_bytes()


@pytest.mark.parametrize("name", BAD)
def test_bad_values_are_refused(helm, name):
    """Before anything is installed, and the message says which."""
    assert name in helm.error(f"bad {name}")


@pytest.mark.parametrize("name", GOOD)
def test_there_is_time_to_stop(helm, name):
    """More than a server may take: the delay, what is under way, the workers."""
    spec = server(helm, name)
    values = GOOD[name]
    delay = values.get("stopDelaySeconds", 5)
    drain = values.get("settings", {}).get("drain_s", settings.Settings().drain_s)
    (container,) = spec["containers"]

    assert spec["terminationGracePeriodSeconds"] > delay + drain + WORKERS_S_MAX
    if delay:
        command = container["lifecycle"]["preStop"]["exec"]["command"]
        assert command == ["sleep", str(delay)]
    else:
        assert "lifecycle" not in container


@pytest.mark.parametrize("name", GOOD)
def test_servers_are_replaced_one_by_one(helm, name):
    """None goes before another is ready; and each is asked what it can tell."""
    spec = helm.one(name, "Deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    replicas = GOOD[name].get("replicaCount", 2)
    assert spec.get("replicas") == (None if name == "everything" else replicas)
    (container,) = server(helm, name)["containers"]
    (port,) = container["ports"]
    assert port["containerPort"] == int(last("EXPOSE"))
    probes = {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    for kind, path in probes.items():
        scheme = "HTTPS" if name == "nothing" else "HTTP"
        asked = container[f"{kind}Probe"]["httpGet"]
        assert asked == {"path": path, "port": port["name"], "scheme": scheme}


def variables_of(container: dict[str, Any]) -> dict[str, str]:
    """Give the variables of a container, with those of its image."""
    own = {each["name"]: each["value"] for each in container["env"]}
    return environment_of_image() | own


@pytest.mark.parametrize("name", GOOD)
def test_the_settings_are_settings(helm, name, tmp_path):
    """What is written is what was asked for, also where the image has its own word."""
    file = tmp_path / "millpond.toml"
    file.write_text(written_settings(helm, name), "utf-8")
    (container,) = server(helm, name)["containers"]
    secrets = {"MILLPOND_STORE": STORE, "MILLPOND_SECRET_KEY": "ab" * 32}
    reading = settings.read(file, variables_of(container) | secrets)

    assert reading.problems == []
    for setting, value in GOOD[name].get("settings", {}).items():
        made = getattr(reading.settings, setting)
        if setting in ("imports", "login_providers"):
            ((key, given),) = value.items()
            for member, wanted in given.items():
                found = getattr(made[key], member)
                assert (str(found) if member == "claims_until" else found) == wanted
        else:
            assert made == (str(value) if setting == "readers" else value)
    public_url = {
        "defaults": f"http://sync-millpond.{NAMESPACE}.svc:8014",
        "everything": "https://sync.example.com",
        "on the page": "https://sync.example.com",
        "nothing": f"https://sync-millpond.{NAMESPACE}.svc:8014",
    }
    assert reading.settings.public_url == public_url[name]


def test_what_the_image_sets_can_be_set():
    """Its variables win over the file: the chart sees to each of them."""
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    offered = schema["properties"]["settings"]["properties"].keys()
    of_image = {
        each.removeprefix("MILLPOND_").lower() for each in environment_of_image()
    }

    assert of_image & offered == {"host", "log_format"}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_mounted_is_there(helm, name):
    """Each mount has its volume, none is a file over another, and /data is written."""
    for kind, pod in pods(helm, name):
        (container,) = pod["spec"]["containers"]
        mounts = {each["name"]: each for each in container.get("volumeMounts", [])}
        volumes = {each["name"] for each in pod["spec"].get("volumes", [])}
        assert mounts.keys() == volumes, kind
        paths = [each["mountPath"] for each in mounts.values()]
        assert len(set(paths)) == len(paths)
        if kind == "Deployment":
            assert not mounts["data"].get("readOnly")
            assert mounts["data"]["mountPath"] == last("VOLUME")
            assert ("init" in mounts) == ("initScripts" in GOOD[name])
            if "init" in mounts:
                folder = environment_of_image()["MILLPOND_INIT_FOLDER"]
                assert mounts["init"]["mountPath"] == folder
                made = helm.one(name, "ConfigMap", "-init")["data"]
                assert made == GOOD[name]["initScripts"]
        if kind != "Pod":
            assert container["args"][0] in COMMANDS


def test_the_notes_say_what_to_do_next(helm):
    """Where it is, how to make a key, and what is missing in front of it."""
    assert "millpond key create" in helm.notes("defaults")
    assert "NOTE" not in helm.notes("everything")
    assert "https://sync.example.com" in helm.notes("everything")
    told = helm.notes("open")
    assert "trusted_proxies is empty" in told
    assert "not TLS" in told


@pytest.fixture
def release(
    helm: Helm, tmp_path: Path, new_database: Callable[[], str]
) -> Callable[[dict[str, Any]], tuple[list[str], dict[str, str]]]:
    """Make what starts a container of the release: words, variables."""
    secret = {"store": new_database(), "secret_key": "ab" * 32}

    def lay_out(spec: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
        (container,) = spec["containers"]
        places = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
        for volume in spec["volumes"]:
            folder = tmp_path / volume["name"]
            folder.mkdir(exist_ok=True)
            if "configMap" in volume:
                (folder / "millpond.toml").write_text(
                    written_settings(helm, "defaults")
                )
            for source in volume.get("projected", {}).get("sources", []):
                for item in source["secret"]["items"]:
                    if item["key"] in secret:
                        (folder / item["path"]).write_text(secret[item["key"]])
                    else:
                        assert source["secret"]["optional"] is True

        def here(text: str) -> str:
            for path, name in places.items():
                if text == path or text.startswith(f"{path}/"):
                    return f"{tmp_path / name}{text.removeprefix(path)}"
            return text

        variables = {k: here(v) for k, v in variables_of(container).items()}
        path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        words = json.loads(last("ENTRYPOINT")) + [here(w) for w in container["args"]]
        return words, variables | path

    return lay_out


def test_the_release_runs(helm, release, programs, tmp_path):
    """
    The job, a server, and then the pod of `helm test`, as processes over a database.
    """
    by_kind = {kind: pod["spec"] for kind, pod in pods(helm, "defaults")}
    words, variables = release(by_kind["Job"])
    done = subprocess.run(
        words, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "The schema is at version" in done.stdout

    port = free_port()
    words, variables = release(by_kind["Deployment"])
    here = {"MILLPOND_HOST": "127.0.0.1", "MILLPOND_PORT": str(port)}
    here["MILLPOND_INIT_FOLDER"] = str(make_folder(tmp_path / "init.d"))
    process = programs.start(words, env=variables | here)
    (asks,) = by_kind["Pod"]["containers"]
    *python, program = asks["command"]
    service = helm.one("defaults", "Service")
    name = f"{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    assert name in program
    program = program.replace(name, f"127.0.0.1:{port}")

    def is_ready() -> bool:
        assert process.poll() in (None, 0), process.stderr
        asked = subprocess.run(
            [*python, program], env={"PATH": variables["PATH"]}, capture_output=True
        )
        return asked.returncode == 0

    wait_until(is_ready)
    process.terminate()
    assert process.wait() == 0
    assert is_ready() is False
