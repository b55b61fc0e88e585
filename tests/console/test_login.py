"""Logging in to the console: who gets in, for how long, and who is kept out."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cli.relay import Relay
from console.visitor import Answer, Visitor
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer, wait_until


def run(*words: str) -> str:
    """Run a command and give what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "millpond", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def log_in(visitor: Visitor, key: str, secret: str, **more: str) -> Answer:
    """Send the form."""
    form = {"access_key_id": key, "secret_access_key": secret, **more}
    return visitor.post("/console/login", form)


def follow(visitor: Visitor, url: str) -> Answer:
    """Open a link, and press its button."""
    page = visitor.get(url.removeprefix(visitor.endpoint))
    found = re.search(r'name="link" value="([^"]+)"', page.text)
    return visitor.post("/console/login", {"link": found[1] if found else "none"})


@pytest.fixture(params=["sqlite", "postgres"])
def fleet(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[list[RunningServer]]:
    """The servers of one store: one of a folder, two of a database."""
    if request.param == "sqlite":
        with RunningServer(tmp_path / "data") as server:
            yield [server, server]
        return
    new_postgres: Callable[[], str] = request.getfixturevalue("new_database")
    settings = {"store": new_postgres(), "secret_key": "5e" * 32}
    with (
        RunningServer(tmp_path / "one", settings=settings) as one,
        RunningServer(tmp_path / "two", settings=settings) as two,
    ):
        yield [one, two]


def test_key_and_secret(stranger: Visitor, console_server: RunningServer) -> None:
    """The right pair logs in, to the page that was wanted; the secret stays nowhere."""
    key, secret = console_server.access_key_id, console_server.secret_access_key
    answer = log_in(stranger, key, secret, next="/console/keys?after=1")

    assert answer.status == 303
    assert answer.location == "/console/keys?after=1"
    (cookie,) = answer.cookies.values()
    assert cookie["httponly"]
    assert cookie["samesite"].lower() == "strict"
    assert secret not in cookie.value
    assert key not in cookie.value
    assert stranger.get("/console").status == 200


@pytest.mark.parametrize(
    ("key", "secret"), [("", ""), ("AKIANOBODY", "x"), (None, ""), (None, "x" * 40)]
)
def test_a_wrong_pair(
    console_server: RunningServer, key: str | None, secret: str
) -> None:
    """A wrong secret and an unknown key are told in the same words, and set nothing."""
    visitor = Visitor(console_server.endpoint)
    answer = log_in(
        visitor,
        console_server.access_key_id if key is None else key,
        secret,
    )

    assert answer.status in (403, 429)
    assert not answer.cookies
    assert visitor.get("/console").status == 303


@pytest.mark.parametrize(
    "target",
    [
        "https://elsewhere.example/console",
        "//elsewhere.example/console",
        "/console@elsewhere.example",
        "/console/../../elsewhere",
        "/console\\elsewhere",
        "javascript:alert(1)",
        "/console/login",
        "/console/x\r\nset-cookie: a=b",
    ],
)
def test_where_login_never_leads(target: str) -> None:
    """After logging in nobody is led out of the console, whatever the form says."""
    from millpond.console.login import own_path

    found = own_path(target)
    assert found == "/console" or (found.startswith("/console/") and "://" not in found)
    assert "elsewhere.example" not in found
    assert "\r" not in found


def test_a_link_is_good_once_on_all_servers(fleet: list[RunningServer]) -> None:
    """What `millpond console` prints logs in once; to open it uses nothing up."""
    one, two = fleet
    words = ["--data", str(one.data)]
    if one.store_url:
        words += ["--store", one.store_url]
    environment = {"MILLPOND_SECRET_KEY": one.secret_key} if one.store_url else {}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        url = run("console", *words, "--url", one.endpoint)
    first, second = Visitor(one.endpoint), Visitor(two.endpoint)
    assert first.get(url.removeprefix(one.endpoint)).status == 200

    assert follow(second, url.replace(one.endpoint, two.endpoint)).status == 303
    assert second.get("/console").status == 200
    again = follow(first, url)
    assert again.status == 403
    assert "was used" in again.text
    assert first.get("/console").status == 303
    # Whoever logged out on one is out on all.
    third = Visitor(one.endpoint)
    third.cookies = dict(second.cookies)
    assert third.get("/console").status == 200
    kept = dict(second.cookies)
    assert second.post("/console/logout", {}).status == 303
    assert second.get("/console").status == 303
    third.cookies = kept
    assert third.get("/console").status == 303


def test_what_serve_prints(console_server: RunningServer) -> None:
    """On loopback a server prints a link; its command finds where it answers."""
    printed = "".join(console_server.log)
    url = re.search(r"http\S+/console/login\?link=\S+", printed)

    assert url is not None
    assert follow(Visitor(console_server.endpoint), url[0]).status == 303
    found = run("console", "--data", str(console_server.data))
    assert found.startswith(f"{console_server.endpoint}/console/login?link=")


def test_a_session_is_over_when_its_key_is(console_server: RunningServer) -> None:
    """Deleting the key ends what was begun with it."""
    printed = run("key", "create", "--data", str(console_server.data))
    key, secret = re.findall(r": (\S+)", printed)[:2]
    visitor = Visitor(console_server.endpoint)
    assert log_in(visitor, key, secret).status == 303
    assert visitor.get("/console").status == 200

    run("key", "delete", key, "--yes", "--data", str(console_server.data))

    wait_until(lambda: visitor.get("/console").status == 303)


@pytest.mark.parametrize("change", [0, 20, -1])
def test_a_forged_cookie(visitor: Visitor, change: int) -> None:
    """A cookie that was changed, or is for something else, is none."""
    ((name, value),) = visitor.cookies.items()
    other = "A" if value[change] != "A" else "B"
    at = change % len(value)
    visitor.cookies = {name: value[:at] + other + value[at + 1 :]}
    if change == -1:  # the last character has bits that mean nothing
        visitor.cookies = {name.replace("session", "said"): value, name: value[:-4]}

    assert visitor.get("/console").status == 303


def test_too_many_tries(console_server: RunningServer) -> None:
    """Whoever tries again and again is held back for a while, with a right one too."""
    with RunningServer(console_server.data.parent / "tries") as server:
        visitor = Visitor(server.endpoint)
        tries = [log_in(visitor, server.access_key_id, "x").status for _ in range(11)]
        assert tries == [403] * 10 + [429]
        secret = server.secret_access_key
        assert log_in(visitor, server.access_key_id, secret).status == 429


def test_many_tries_at_a_time(tmp_path: Path) -> None:
    """Those that wait for a look at the store are counted before, not behind it."""
    with RunningServer(tmp_path / "data") as server:

        def attempt(number: int) -> int:
            return log_in(Visitor(server.endpoint), f"AKIA{number}", "x").status

        with ThreadPoolExecutor(30) as pool:
            tries = [*pool.map(attempt, range(40))]

    # A slow machine may have one more come by meanwhile.
    assert tries.count(403) in (10, 11, 12)
    assert {*tries} == {403, 429}


def test_a_page_with_a_long_address(console_server: RunningServer) -> None:
    """Whoever is not logged in gets the form, though it cannot lead back there."""
    visitor = Visitor(console_server.endpoint)
    answer = visitor.get(f"/console/identities?by=login&q={'%E2%82%AC' * 900}")
    assert answer.status == 303
    assert len(answer.location) < 4096
    assert visitor.get(answer.location).status == 200
    assert visitor.get(f"/console/login?next={'x' * 9000}").status == 200
    key, secret = console_server.access_key_id, console_server.secret_access_key
    answer = log_in(visitor, key, secret, next="/console/" + "x" * 9000)
    assert answer.location == "/console"


@pytest.mark.parametrize("frozen", [False, True])
def test_while_the_store_is_away(
    tmp_path: Path, new_database: Callable[[], str], frozen: bool
) -> None:
    """Gone, or frozen so that nothing fails: each page says so, and goes on later."""
    with Relay(new_database()) as relay:
        settings = {"store": relay.url, "secret_key": "5e" * 32}
        with RunningServer(tmp_path / "data", settings=settings) as server:
            visitor = Visitor(server.endpoint)
            visitor.log_in(server)
            relay.cut(frozen=frozen)

            for path in ("/console/pools", "/console/none"):
                answer = visitor.get(path)
                assert answer.status == 503
                assert "store does not answer" in answer.text
            assert visitor.get("/console/keys.json").status == 503
            assert visitor.post("/console/keys/new", {"name": "x"}).status == 503
            assert log_in(Visitor(server.endpoint), "AKIANOBODY", "x").status == 503

            relay.mend()
            wait_until(lambda: visitor.get("/console/keys").status == 200)


def test_what_is_watched_ends_when_its_key_may_less(
    console_server: RunningServer,
) -> None:
    """What a key may see now counts, not what it could see when somebody began."""
    at = ("--data", str(console_server.data))
    key, secret = re.findall(r": (\S+)", run("key", "create", *at))[:2]
    visitor = Visitor(console_server.endpoint)
    assert log_in(visitor, key, secret).status == 303
    url = urlsplit(console_server.endpoint)
    assert url.hostname
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=seconds(60))
    cookie = "; ".join(f"{k}={v}" for k, v in visitor.cookies.items())
    connection.request("GET", "/console/live", headers={"cookie": cookie})
    answer = connection.getresponse()
    assert answer.readline().startswith(b"retry:")

    run("key", "change", key, "--scope", "read-only", *at)

    assert b"event: end" not in answer.read()  # it comes to its end, without one
    assert visitor.get("/console").status == 200
    connection.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "none"},
        {"origin": "http://elsewhere.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
    ],
)
def test_forms_of_other_pages(visitor: Visitor, headers: dict[str, str]) -> None:
    """A change that another page sends is refused, cookie or no cookie."""
    assert visitor.post("/console/logout", {}, **headers).status == 403
    assert visitor.post("/console/login", {}, **headers).status == 403
    assert visitor.get("/console").status == 200


def test_a_form_without_origin(visitor: Visitor) -> None:
    """Who says nothing about where a form comes from is refused; one of two will do."""
    kind = {"content-type": "application/x-www-form-urlencoded"}
    nothing = visitor.ask("POST", "/console/logout", body=b"", headers=kind)
    assert nothing.status == 403
    origin = {**kind, "origin": visitor.endpoint}
    assert (
        visitor.ask("POST", "/console/logout", body=b"", headers=origin).status == 303
    )


def test_reading_by_other_pages(visitor: Visitor) -> None:
    """No page elsewhere reads one of ours: no fetch, no frame, no script."""
    site = {"sec_fetch_site": "same-site"}
    assert visitor.get("/console", **site, sec_fetch_mode="cors").status == 403
    framed = {"sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"}
    assert visitor.get("/console", **site, **framed).status == 403
    opened = {"sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert visitor.get("/console", **site, **opened).status == 200


def test_a_link_on_another_site(stranger: Visitor) -> None:
    """A link that a colleague follows asks again: then the cookie comes along."""
    opened = {"sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    answer = stranger.get("/console/keys?a=%22", sec_fetch_site="cross-site", **opened)

    assert answer.status == 200
    assert 'content="0; url=/console/keys?a=%22"' in answer.text


def test_what_every_answer_has(visitor: Visitor, stranger: Visitor) -> None:
    """Pages, data, messages and the login form: a strict policy, and no caching."""
    answers = [
        visitor.get("/console"),
        visitor.get("/console.json"),
        visitor.get("/console/none"),
        stranger.get("/console/login"),
        stranger.get("/console/login", origin="https://app.example.com"),
    ]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers


def test_cors_never_covers_it(tmp_path: Path) -> None:
    """Whatever origins may call the APIs, none may read the console."""
    settings = {"cors_origins": '["*"]'}
    with RunningServer(tmp_path / "data", settings=settings) as server:
        visitor = Visitor(server.endpoint)
        origin = {"origin": "https://app.example.com"}
        preflight = {**origin, "access-control-request-method": "POST"}
        for method, path in (("OPTIONS", "/console"), ("GET", "/console/login")):
            answer = visitor.ask(method, path, headers=preflight)
            assert "access-control-allow-origin" not in answer.headers


def test_a_form_that_is_too_large(stranger: Visitor) -> None:
    """A stranger's large form is refused, and the server goes on."""
    answer = stranger.post("/console/login", {"access_key_id": "x" * 50_000})

    assert answer.status == 413
    assert stranger.get("/console/login").status == 200


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", b"a=%ff", b"a=%00", b"&".join([b"a"] * 9)]
)
def test_forms_that_are_none(stranger: Visitor, body: bytes) -> None:
    """What cannot be read is a clear refusal, never a failure."""
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "origin": stranger.endpoint,
    }
    answer = stranger.ask("POST", "/console/login", body=body, headers=headers)

    assert answer.status in (400, 403)


def test_a_public_address(tmp_path: Path) -> None:
    """Unencrypted, from elsewhere, there is no console, unless a setting insists."""
    proxied = {"x-forwarded-for": "203.0.113.9"}
    with RunningServer(tmp_path / "auto") as server:
        visitor = Visitor(server.endpoint)
        assert visitor.ask("GET", "/console/login", headers=proxied).status == 403
        assert visitor.ask("GET", "/console/login").status == 200
    with RunningServer(tmp_path / "on", settings={"console": "on"}) as server:
        visitor = Visitor(server.endpoint)
        assert visitor.ask("GET", "/console/login", headers=proxied).status == 200
    with RunningServer(tmp_path / "off", settings={"console": "off"}) as server:
        visitor = Visitor(server.endpoint)
        assert visitor.ask("GET", "/console/login").status == 404
        assert "console" not in "".join(server.log)


def test_behind_a_proxy(tmp_path: Path) -> None:
    """A trusted proxy's word counts: TLS there is TLS, and its name is ours."""
    settings = {"trusted_proxies": '["127.0.0.1"]'}
    proxied = {
        "x-forwarded-for": "203.0.113.9",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "millpond.example",
    }
    with RunningServer(tmp_path / "data", settings=settings) as server:
        visitor = Visitor(server.endpoint)
        plain = {**proxied, "x-forwarded-proto": "http"}
        assert visitor.ask("GET", "/console/login", headers=plain).status == 403
        form = (
            f"access_key_id={server.access_key_id}"
            f"&secret_access_key={server.secret_access_key.replace('+', '%2B')}"
        )
        sent = {
            **proxied,
            "origin": "https://millpond.example",
            "content-type": "application/x-www-form-urlencoded",
        }
        answer = visitor.ask("POST", "/console/login", body=form.encode(), headers=sent)
        assert answer.status == 303
        ((name, cookie),) = answer.cookies.items()
        assert name.startswith("__Host-")
        assert cookie["secure"]
        assert cookie["path"] == "/"
        assert visitor.ask("GET", "/console", headers=proxied).status == 200


def test_over_tls(tmp_path: Path) -> None:
    """With the server's own certificate the cookie is for this host alone."""
    from certificates import make_certificate

    certificate, key = make_certificate(tmp_path)
    settings = {"tls_certificate": str(certificate), "tls_key": str(key)}
    with RunningServer(tmp_path / "data", settings=settings) as server:
        visitor = Visitor(server.endpoint, ca_file=str(certificate))
        answer = visitor.log_in(server)
        assert next(iter(answer.cookies)).startswith("__Host-")
        assert visitor.get("/console").status == 200
