"""
What `deploy/` has for containers, as far as it can be tried where no engine runs.

The steps of the Dockerfile are performed in a folder; what the compose files start is
started as processes, with the environment, the proxy's configuration and the health
check that stand there.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest
import yaml
from dockerfile_parse import DockerfileParser

from acceptance.sync_client import Dataset, create_pool, new_identity
from certificates import make_certificate
from millpond import settings
from millpond.testing.deadlines import seconds
from millpond.testing.ports import free_port
from millpond.testing.server import RunningServer, wait_until
from sinks.nats_servers import create_stream, find_binary, running_server
from surroundings import with_packages

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SECRETS = {"POSTGRES_PASSWORD": "secret", "MILLPOND_SECRET_KEY": "ab" * 32}
COMPOSED = ("compose.yaml", "compose.fleet.yaml")


def services(name: str) -> dict[str, Any]:
    """Read the services of a compose file, its variables filled in."""
    text = (DEPLOY / name).read_text("utf-8")
    filled = re.sub(r"\$\{(\w+):\?\}", lambda found: SECRETS[found[1]], text)
    read: dict[str, Any] = yaml.safe_load(filled)["services"]
    return read


def instructions() -> list[tuple[str, str]]:
    """List what the Dockerfile says: instruction and the rest of its line."""
    parser = DockerfileParser(fileobj=io.BytesIO((DEPLOY / "Dockerfile").read_bytes()))
    return [(each["instruction"], each["value"]) for each in parser.structure]


def last(instruction: str) -> str:
    """Give what the image of the last stage has."""
    return [value for name, value in instructions() if name == instruction][-1]


def environment_of_image() -> dict[str, str]:
    """Give the settings that the image is made with."""
    return dict(re.findall(r"(MILLPOND_\w+)=(\S+)", last("ENV")))


class TestImage:
    """The Dockerfile."""

    def test_the_linter_is_content(self):
        """hadolint finds nothing."""
        linter = Path(sys.executable).parent / "hadolint"
        done = subprocess.run(
            [linter, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_it_needs_no_rights(self):
        """An ordinary user, one folder to write to, and the port that it listens on."""
        assert int(last("USER")) > 0
        assert last("VOLUME") == last("WORKDIR") == "/data"
        made = settings.load(None, environment_of_image())
        assert str(made.data) == "/data"
        assert made.port == int(last("EXPOSE"))
        assert made.host == "0.0.0.0"

    def test_what_is_locked_goes_in(self):
        """All that the extras bring, in the releases that are tested."""
        lock = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)
        locks = ROOT / "requirements"
        tested = dict(lock.findall((locks / "dev.txt").read_text("utf-8")))
        image = dict(lock.findall((locks / "image.txt").read_text("utf-8")))
        assert {"asyncpg", "nats-py", "confluent-kafka", "granian"} <= set(image)
        assert not {"pytest", "moto", "mypy"} & set(image)
        assert image == {name: tested[name] for name in image}

    def test_its_steps_make_a_server_that_is_healthy(self, tmp_path, context):
        """The steps of the first stage are run as they stand, but in a folder."""
        app = tmp_path / "app"
        uv = ROOT / ".venv-uv" / "bin"
        variables = {**with_packages(), "UV_PYTHON_DOWNLOADS": "never"}
        variables["PATH"] = f"{uv}:{Path(sys.executable).parent}:{variables['PATH']}"
        stage = [*instructions()]
        begin = max(i for i, (name, _) in enumerate(stage) if name == "FROM")
        stage = stage[:begin]
        steps = [value for name, value in stage if name == "RUN"]
        assert len(steps) == 3
        pinned = steps[0].split()[-1]
        if shutil.which("uv", path=variables["PATH"]) is None:
            tools = tmp_path / "tools"
            run([sys.executable, "-m", "venv", str(tools)], tmp_path, variables)
            run([tools / "bin" / "pip", "install", "-q", pinned], tmp_path, variables)
            variables["PATH"] = f"{tools / 'bin'}:{variables['PATH']}"
        assert f"UV_PIN := {pinned}" in (ROOT / "Makefile").read_text("utf-8")
        for step in steps[1:]:
            run(["sh", "-ec", step.replace("/app", str(app))], context, variables)

        port, data = free_port(), tmp_path / "data"
        image = {**environment_of_image(), "MILLPOND_DATA": str(data)}
        image |= {"MILLPOND_PORT": str(port), "MILLPOND_HOST": "127.0.0.1"}
        assert f"--mode=0755 {image['MILLPOND_INIT_FOLDER']}\n" in f"{last('RUN')}\n"
        image["MILLPOND_INIT_FOLDER"] = str(make_folder(tmp_path / "init.d"))
        words = json.loads(last("ENTRYPOINT")) + json.loads(last("CMD"))
        check = json.loads(last("HEALTHCHECK").partition("CMD")[2])
        check[-1] = check[-1].replace("8014", str(port))
        path = {"PATH": f"{app / 'bin'}:/usr/bin:/bin"}

        def is_healthy() -> bool:
            done = subprocess.run(check, env=path, capture_output=True, check=False)
            return done.returncode == 0

        assert not is_healthy()
        with subprocess.Popen(
            words, env={**path, **image}, stderr=subprocess.DEVNULL, cwd=tmp_path
        ) as server:
            try:
                wait_until(is_healthy)
                assert (data / "millpond.sqlite3").exists()
            finally:
                server.terminate()
            assert server.wait(seconds(30)) == 0
        assert not is_healthy()

    @pytest.fixture
    def context(self, tmp_path: Path) -> Path:
        """What is sent to the engine: what `.dockerignore` lets through."""
        lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        let = [each[1:] for each in lines if each.startswith("!")]
        folder = tmp_path / "context"
        folder.mkdir()
        copied = " ".join(value for name, value in instructions() if name == "COPY")
        for name in let:
            assert name in copied
            place = ROOT / name
            if place.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(place, folder / name, ignore=ignored)
            else:
                shutil.copy(place, folder)
        return folder


def make_folder(place: Path) -> Path:
    """Make a folder that nobody else may write to, whatever the umask."""
    place.mkdir(mode=0o755)
    return place


# What pip and uv say where there is no index to be reached.
NO_NETWORK = re.compile(
    "error sending request|dns error|[Nn]etwork (?:connectivity is|was) disabled"
    "|Failed to establish a new connection|Temporary failure in name resolution"
)


def run(words: list[Any], folder: Path, variables: Mapping[str, str]) -> None:
    """Run a step, which must go well."""
    done = subprocess.run(
        words, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode and NO_NETWORK.search(done.stdout + done.stderr):
        pytest.skip("packages cannot be installed: the index cannot be reached")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", COMPOSED)
class TestCompose:
    """The compose files."""

    def test_compose_reads_it(self, name):
        """Where Compose is installed: it knows every word."""
        compose = shutil.which("docker-compose")
        if compose is None:
            pytest.skip(
                "docker-compose is not installed: apt-get install docker-compose"
            )
        run(
            [compose, "--file", str(DEPLOY / name), "config", "--quiet"],
            ROOT,
            {**os.environ, **SECRETS},
        )

    def test_the_settings_are_settings(self, name):
        """Each variable is a setting of a value that it takes; paths exist."""
        ours = [each for each in services(name).values() if "build" in each]
        assert ours
        for each in ours:
            built = (DEPLOY / each["build"]["context"]).resolve()
            assert built == ROOT
            assert (built / each["build"]["dockerfile"]).is_file()
            made = settings.load(
                None, {**environment_of_image(), **each["environment"]}
            )
            assert made.drain_s < int(each["stop_grace_period"].removesuffix("s"))
            assert each["read_only"]
            writable = json.dumps([each["tmpfs"], each.get("volumes", [])])
            assert str(made.data) in writable

    def test_images_of_others_are_pinned(self, name):
        """None of them is what it happens to be today."""
        others = [each for each in services(name).values() if "build" not in each]
        for each in others:
            assert re.search(r":\d+\.?\d*", each["image"])

    def test_nothing_is_open_to_the_world(self, name):
        """Ports are those of this machine alone until somebody decides otherwise."""
        ports = [p for each in services(name).values() for p in each.get("ports", [])]
        assert ports
        assert all(each.startswith("127.0.0.1:") for each in ports)


@contextlib.contextmanager
def proxy(
    folder: Path, upstream: list[str], *, tls: tuple[Path, Path] | None = None
) -> Iterator[str]:
    """
    Run the proxy of the fleet in front of servers; give where it listens.

    Args:
        tls: the files of a certificate and its key.
    """
    folder.mkdir(exist_ok=True)
    port = free_port()
    text = (DEPLOY / "nginx.conf").read_text("utf-8")
    for number, each in enumerate(upstream, 1):
        assert f"millpond-{number}:8014" in text
        text = text.replace(f"millpond-{number}:8014", each)
    listen = f"listen 127.0.0.1:{port}"
    if tls is not None:
        files = 'ssl_certificate "{}"; ssl_certificate_key "{}"'.format(*tls)
        listen = f"{files}; {listen} ssl"
    text = text.replace("listen 8014", listen)
    text = text.replace("/tmp/nginx.pid", f'"{folder}/nginx.pid"')
    places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    temporary = "".join(f'{p}_temp_path "{folder / p}"; ' for p in places)
    text = text.replace("access_log off;", f"access_log off; {temporary}")
    (folder / "nginx.conf").write_text(text)
    words = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    words += ["-e", str(folder / "error.log"), "-g", "daemon off;"]
    path = f"{os.environ['PATH']}:/usr/sbin"
    with subprocess.Popen(words, env={"PATH": path}) as process:
        try:
            yield f"http{'' if tls is None else 's'}://127.0.0.1:{port}"
        finally:
            process.terminate()


def test_the_proxy_is_the_one_that_the_page_explains():
    """How requests are passed on is the same there, line by line."""
    page = (ROOT / "docs" / "howto" / "from-laptop-to-fleet.md").read_text("utf-8")
    used = (DEPLOY / "nginx.conf").read_text("utf-8")

    def passed_on(text: str) -> list[str]:
        (part,) = re.findall(
            r"( *client_max_body_size.*?)\n *}\n *}\n", text, re.DOTALL
        )
        return [each.strip() for each in part.splitlines()]

    assert "proxy_pass http://millpond;" in passed_on(used)
    assert passed_on(used) == passed_on(page)
    servers = [re.findall(r"server \S+:8014 (.*);", each) for each in (page, used)]
    assert servers[0] == servers[1] != []


def test_the_console_behind_the_proxy(tmp_path):
    """Others than the machine see it over TLS, and not because they say that it is."""
    if shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    trusted = {"trusted_proxies": '["127.0.0.1/32"]'}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(RunningServer(tmp_path / "data", settings=trusted))
        behind = [server.endpoint.removeprefix("http://")] * 2
        certificate = make_certificate(tmp_path)
        plain = stack.enter_context(proxy(tmp_path / "plain", behind))
        secure = stack.enter_context(proxy(tmp_path / "tls", behind, tls=certificate))
        context = ssl.create_default_context(cafile=str(certificate[0]))

        def ask(address: str, **headers: str) -> int:
            from_afar = {"X-Forwarded-For": "203.0.113.9", **headers}
            request = Request(f"{address}/console/login", headers=from_afar)
            try:
                return int(urlopen(request, context=context).status)
            except HTTPError as error:
                error.close()
                return error.code

        wait_until(lambda: answers(plain))
        assert ask(secure) == 200
        assert ask(plain) == 403
        assert ask(plain, **{"X-Forwarded-Proto": "https"}) == 403


def test_the_fleet(tmp_path, new_database):
    """
    Both servers over one database and one stream, behind the proxy: an SDK signs, a
    server is stopped, and nothing of it is seen.
    """
    if shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    if find_binary() is None:
        pytest.skip("there is no NATS server")
    asyncio.run(play_the_fleet(tmp_path, new_database()))


async def play_the_fleet(folder: Path, database: str) -> None:
    parts = services("compose.fleet.yaml")
    first, second = (
        parts[name]["environment"] for name in ("millpond-1", "millpond-2")
    )
    assert first == second
    of_database = parts["postgres"]["environment"]
    who = "{POSTGRES_USER}:{POSTGRES_PASSWORD}@postgres/{POSTGRES_DB}"
    assert first["MILLPOND_STORE"] == f"postgresql://{who.format(**of_database)}"
    assert "stream add changes" in parts["stream"]["command"][-1]
    assert json.loads(first["MILLPOND_STREAMS"]) == {
        "changes": "nats://nats:4222/changes"
    }

    async with running_server(folder) as nats:
        await create_stream([nats.url], "changes")
        here = first | {
            "MILLPOND_STORE": database,
            "MILLPOND_STREAMS": json.dumps({"changes": f"nats://{nats.host}/changes"}),
            "MILLPOND_TRUSTED_PROXIES": '["127.0.0.1/32"]',
        }
        spelled = {k.removeprefix("MILLPOND_").lower(): v for k, v in here.items()}
        await asyncio.to_thread(use_the_fleet, folder, spelled)


def use_the_fleet(folder: Path, spelled: dict[str, str]) -> None:
    nodes = [RunningServer(folder / name, settings=spelled) for name in ("a", "b")]
    with contextlib.ExitStack() as stack:
        for each in nodes:
            stack.enter_context(each)
        keys = nodes[0].environment()
        behind = [each.endpoint.removeprefix("http://") for each in nodes]
        address = stack.enter_context(proxy(folder, behind))
        wait_until(lambda: answers(address))
        options = {
            "endpoint_url": address,
            "aws_access_key_id": keys["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": keys["AWS_SECRET_ACCESS_KEY"],
        }
        pool = create_pool(nodes[0])
        client = nodes[0].client("cognito-sync", **options)
        stack.callback(client.close)
        stream = {"StreamName": "changes", "StreamingStatus": "ENABLED"}
        client.set_identity_pool_configuration(
            IdentityPoolId=pool, CognitoStreams=stream
        )
        dataset = Dataset(client, pool, new_identity(), "a.b:c")
        for number in range(4):
            dataset.put(**{f"k{number}": "v"})
        nodes[0].stop()
        for number in range(4, 8):
            dataset.put(**{f"k{number}": "v"})
        assert len(dataset.values()) == 8
        client.bulk_publish(IdentityPoolId=pool)

        def is_published() -> bool:
            told = client.get_bulk_publish_details(IdentityPoolId=pool)
            return bool(told["BulkPublishStatus"] == "SUCCEEDED")

        wait_until(is_published)


def answers(address: str) -> bool:
    """Say whether the proxy lets a server answer."""
    try:
        with urlopen(f"{address}/readyz", timeout=seconds(5)) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
