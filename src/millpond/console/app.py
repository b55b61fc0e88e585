"""
The frame of the pages: finds who looks, calls the page, and makes an answer of it.

    static file | login -> done
    where from (guard) -> who (sessions) -> page: function -> data -> template, or JSON
                                         -> action: may they -> form -> function
                                         -> live: watched together with others

Whatever a page meets becomes a page: what was refused with its sentence and status,
what fails with the id under which the log has it. Nothing here is cached by browsers.
"""

from __future__ import annotations

from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Mapping,
    MutableMapping,
    Sequence,
)
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from millpond.console import guard, login, rendering
from millpond.console.base import (
    DOOR,
    POOL,
    ROOT,
    Ask,
    Console,
    Done,
    Door,
    Download,
    Fields,
    Page,
    Refused,
    Shown,
    Viewer,
    as_refused,
    link,
    read_segment,
)
from millpond.console.downloads import send_download
from millpond.console.live import LiveParts
from millpond.console.pages import (
    audit,
    bulk_publish,
    connect,
    dataset,
    devices,
    identities,
    keys,
    outbox,
    overview,
    pools,
    settings,
    streams,
)
from millpond.console.sessions import Session, Sessions, read_cookies
from millpond.errors import DamagedStoreError, ServiceException, StoreError
from millpond.service.callers import ORIGIN_CONSOLE, Caller, CameFrom, KeyScope
from millpond.service.damage import is_damage
from millpond.service.patience import within

_log = structlog.get_logger()
T = TypeVar("T")

AsgiApp = Callable[
    [MutableMapping[str, Any], Callable[..., Any], Callable[..., Any]], Awaitable[None]
]
MODULES: Final = (
    overview,
    pools,
    identities,
    dataset,
    devices,
    streams,
    bulk_publish,
    outbox,
    keys,
    audit,
    settings,
    connect,
)
"""The pages, a module for each group."""
NAVIGATION: Final = (
    ("/", "Overview"),
    ("/pools", "Pools"),
    ("/identities", "Identities"),
    ("/streams", "Streams"),
    ("/outbox", "Outbox"),
    ("/keys", "Keys"),
    ("/audit", "Audit"),
    ("/settings", "Settings"),
    ("/connect", "Connect"),
)
"""What is at the top of every page, where there is such a page."""
FORM_FIELDS_MAX: Final = 20_000
QUERY_FIELDS_MAX: Final = 100
NO_PAGE: Final = "There is no such page."
NO_STORE: Final = "The store does not answer for the moment. Try again."
STORE_S_MAX: Final = 4.0  # a store that is frozen says nothing at all
_JSON: Final = ".json"


def routes() -> Sequence[Page]:
    """List what there is, in the order in which paths are tried."""
    rows = [row for module in MODULES for row in module.ROUTES]
    return sorted(rows, key=lambda row: row.path.replace("{", "~{").split("/"))


def make_console(console: Console) -> Frame:
    """Make the application."""
    return Frame(console)


# Of a key that ended while its last request was looked at.
_ENDED: Final = KeyScope(read_only=True, identity_pool_id="-")


@dataclass(slots=True)
class _Look:
    """One request to the console, as far as it has been looked at."""

    request: Request
    door: Door
    wants_json: bool
    session: Session | None = None


def _look(request: Request) -> _Look:
    path, query = request.scope["path"], request.scope["query_string"]
    wants_json = path.endswith(_JSON) or b"format=json" in query.split(b"&")
    return _Look(request, request.scope[DOOR], wants_json)


class Frame:
    """The application that serves the paths of the console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._sessions = Sessions(console)
        self._login = login.Login(console, self._sessions)
        self._live = LiveParts(console)
        rows = routes()
        self._templates = {row.path: row.template for row in rows if row.kind == "page"}
        self._navigation = [
            (path, text) for path, text in NAVIGATION if path in self._templates
        ]
        app = Starlette(
            routes=[*self._own_routes(), *(r for row in rows for r in self._of(row))],
            exception_handlers={HTTPException: self._no_page},
        )
        app.router.redirect_slashes = False
        self._app = app

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[..., Any],
        send: Callable[..., Any],
    ) -> None:
        """Answer one request."""
        # Of the path as it was sent: a name in it may have a slash.
        path = scope["raw_path"].decode("latin-1")
        await self._app({**scope, "path": path, "root_path": ""}, receive, send)

    def close(self) -> None:
        """End the parts that change by themselves; whoever watches asks again."""
        self._live.close()

    def _own_routes(self) -> list[Route]:
        return [
            Route(f"{ROOT}/static/{{name}}", self._static),
            self._own("login", self._show_login, is_change=False),
            self._own("login", self._log_in, is_change=True),
            self._own("logout", self._log_out, is_change=True),
            Route(f"{ROOT}/", self._to_root),
        ]

    def _own(
        self,
        name: str,
        answer: Callable[[_Look], Awaitable[Response]],
        *,
        is_change: bool,
    ) -> Route:
        endpoint = self._guarded(answer, is_change=is_change)
        methods = ["POST"] if is_change else ["GET"]
        return Route(f"{ROOT}/{name}", endpoint, methods=methods)

    def _of(self, row: Page) -> list[Route]:
        path = (ROOT + row.path).rstrip("/")
        if row.kind == "action":
            return [Route(path, self._endpoint(row, self._act), methods=["POST"])]
        if row.kind == "live":
            return [Route(path, self._endpoint(row, self._watch), methods=["GET"])]
        show = self._endpoint(row, self._show)
        made = [Route(path, show, methods=["GET"])]
        if not path.endswith("}"):
            made.append(Route(path + _JSON, show, methods=["GET"]))
        return made

    def _endpoint(
        self, row: Page, answer: Callable[[Page, _Look], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def show(look: _Look) -> Response:
            look.session = await self._find_session(look)
            if look.session is None:
                return self._ask_to_log_in(look)
            return self._finish(await answer(row, look))

        return self._guarded(show, is_change=row.kind == "action")

    def _guarded(
        self, answer: Callable[[_Look], Awaitable[Response]], *, is_change: bool
    ) -> Callable[[Request], Awaitable[Response]]:
        """Let in what comes from where it may; whatever goes wrong becomes a page."""

        async def endpoint(request: Request) -> Response:
            look = _look(request)
            headers = dict(request.scope["headers"])
            try:
                if is_change:
                    guard.check_change(headers, look.door)
                else:
                    guard.check_reading(headers)
                return await answer(look)
            except Exception as error:
                return self._refuse(look, error)

        return endpoint

    async def _find_session(self, look: _Look) -> Session | None:
        cookies = self._cookies(look.request, look.door, "session")
        return await _in_time(self._sessions.find(cookies))

    def _cookies(self, request: Request, door: Door, what: str) -> list[str]:
        name = self._sessions.cookie_name(what, is_secure=door.is_secure)
        return [*read_cookies(request.scope["headers"], name)]

    # Who looks.

    def _viewer(self, look: _Look) -> Viewer:
        assert look.session is not None
        console, access_key_id = self._console, look.session.access_key_id
        key = console.keys.find_good(access_key_id, console.context.now_ms())
        scope = _ENDED if key is None else key.scope
        console.keys.note_use(access_key_id)
        agent = look.request.headers.get("user-agent", "")[:200]
        came_from = CameFrom(
            ORIGIN_CONSOLE, look.door.address, agent, look.door.request_id
        )
        account_id = console.context.settings.account_id
        return Viewer(
            Caller(access_key_id, account_id, None, scope=scope, whence=came_from),
            key_name=scope.name,
            may_change=not scope.read_only,
            pool=scope.identity_pool_id,
            address=look.door.address,
            user_agent=agent,
        )

    def _ask_to_log_in(self, look: _Look) -> Response:
        request = look.request
        if look.wants_json or request.method not in ("GET", "HEAD"):
            return self._message(look, Refused(401, "Log in to see this."))
        if request.headers.get("sec-fetch-site") == "cross-site":
            # The cookie does not come along with a link on another site. The page
            # asks again by itself, and then it does.
            return self._html(rendering.render("again.html", url=_own_url(request)))
        target = urlencode({"next": login.own_path(_own_url(request))})
        return self._finish(RedirectResponse(f"{ROOT}/login?{target}", 303))

    # Pages, actions and live parts.

    def _ask(self, row: Page, look: _Look, raw: Mapping[str, str]) -> Ask:
        path = {name: read_segment(value) for name, value in raw.items()}
        query = _read_fields(look.request.scope["query_string"], QUERY_FIELDS_MAX)
        return Ask(path, query, request_id=look.door.request_id)

    async def _show(self, row: Page, look: _Look) -> Response:
        raw: dict[str, str] = dict(look.request.path_params)
        viewer = self._viewer(look)
        last = row.parameters[-1] if row.path.endswith("}") else ""
        if not last or not raw[last].endswith(_JSON):
            return await self._show_page(row, look, viewer, raw)
        # A dataset may be called `a.json`: the page of what is called so comes first.
        try:
            as_page = _Look(look.request, look.door, _asks_json(look), look.session)
            return await self._show_page(row, as_page, viewer, raw)
        except (Refused, ServiceException) as error:
            if _status_of(error) not in (400, 404):
                raise
        raw[last] = raw[last].removesuffix(_JSON)
        return await self._show_page(row, look, viewer, raw)

    async def _show_page(
        self, row: Page, look: _Look, viewer: Viewer, raw: Mapping[str, str]
    ) -> Response:
        ask = self._ask(row, look, raw)
        self._check_pool(viewer, ask)
        shown = await row.function(self._console, viewer, ask)
        if isinstance(shown, Download):
            return send_download(shown, look.door)
        return self._page(look, viewer, shown, row.template, row.path)

    async def _act(self, row: Page, look: _Look) -> Response:
        self._changer(look)
        settings = self._console.context.settings
        bytes_max = row.form_bytes_max or settings.request_body_bytes_max
        form = await read_form(look.request, look.door, bytes_max)
        viewer = self._changer(look)  # whose key may have ended while a form came
        ask = self._ask(row, look, look.request.path_params)
        self._check_pool(viewer, ask)
        ask = Ask(ask.path, ask.query, form, ask.request_id)
        answer = await row.function(self._console, viewer, ask)
        if isinstance(answer, Done):
            return self._go_on(look, answer)
        if isinstance(answer, Download):
            return send_download(answer, look.door)
        template = row.template or self._templates[row.path]
        return self._page(look, viewer, answer, template, row.path)

    def _changer(self, look: _Look) -> Viewer:
        viewer = self._viewer(look)
        if not viewer.may_change:
            raise Refused(403, "This key may only read.")
        return viewer

    async def _watch(self, row: Page, look: _Look) -> Response:
        viewer = self._viewer(look)
        ask = self._ask(row, look, look.request.path_params)
        self._check_pool(viewer, ask)
        session, scope = look.session, viewer.caller.scope
        assert session is not None

        def is_good() -> bool:
            return self._sessions.is_good(session, scope)

        key = (look.request.url.path, look.request.url.query, viewer.pool)
        return self._live.watch(row, key, viewer, ask, look.door, is_good)

    def _check_pool(self, viewer: Viewer, ask: Ask) -> None:
        if POOL in ask.path:
            self._console.check_pool(viewer, ask.path[POOL])

    def _go_on(self, look: _Look, done: Done) -> Response:
        response = RedirectResponse(done.location, 303)
        if done.sentence:
            self._set_cookie(
                response, look.door, "said", self._sessions.note_said(done.sentence)
            )
        return response

    # Answers.

    def _page(
        self, look: _Look, viewer: Viewer, shown: Shown, template: str, path: str
    ) -> Response:
        data = msgspec.to_builtins(shown.data)
        if look.wants_json:
            return self._json(data, shown.status)
        said = self._sessions.read_said(self._cookies(look.request, look.door, "said"))
        html = rendering.render(
            template,
            data=data,
            title=shown.title,
            crumbs=shown.crumbs,
            form=shown.form,
            errors=shown.errors,
            refresh_s=shown.refresh_s,
            viewer=viewer,
            said=said,
            **self._of_frame(look, path),
        )
        response = self._html(html, shown.status)
        if said:
            self._set_cookie(response, look.door, "said", "")
        return response

    def _of_frame(self, look: _Look, path: str) -> dict[str, Any]:
        top = "/" + path.split("/")[1]
        return {
            "navigation": [
                (link(each), text, each == top) for each, text in self._navigation
            ],
            "json_url": _json_url(look.request),
            "here": _own_url(look.request),
        }

    def _refuse(self, look: _Look, error: Exception) -> Response:
        if isinstance(error, Refused):
            return self._message(look, error)
        if isinstance(error, ServiceException):
            return self._message(look, as_refused(error))
        if is_damage(error):
            self._console.context.damage.note()
        is_store = isinstance(error, StoreError) and not isinstance(
            error, DamagedStoreError
        )
        _log.error(
            "console.failed",
            request_id=look.door.request_id,
            error=str(error),
            exc_info=None if is_store else error,
        )
        if is_store:
            return self._message(look, Refused(503, NO_STORE))
        if is_damage(error):
            sentence = "What is stored for this page is damaged and cannot be read."
        else:
            sentence = "This page failed. The log of the server says more."
        return self._message(look, Refused(500, sentence))

    def _message(self, look: _Look, refused: Refused) -> Response:
        """Make the page, or the JSON, of what was refused."""
        told = {"message": refused.sentence, "requestId": look.door.request_id}
        if look.wants_json:
            return self._json({"error": told}, refused.status)
        html = rendering.render(
            "message.html",
            data=told,
            status=refused.status,
            title=_TITLES.get(refused.status, "This did not work"),
            crumbs=(),
            form={},
            errors={},
            refresh_s=0,
            viewer=self._viewer(look) if look.session else None,
            said="",
            **self._of_frame(look, "/"),
        )
        return self._html(html, refused.status)

    async def _no_page(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status = error.status_code

        async def refuse(look: _Look) -> Response:
            look.session = await self._find_session(look)
            if status == 404 and look.session is None:
                return self._ask_to_log_in(look)
            sentence = "This page does not take that." if status == 405 else NO_PAGE
            return self._message(look, Refused(status, sentence))

        return await self._guarded(refuse, is_change=False)(request)

    def _html(self, html: str, status: int = 200) -> Response:
        return self._finish(Response(html, status, media_type="text/html"))

    def _json(self, data: Any, status: int) -> Response:
        encoded = msgspec.json.format(msgspec.json.encode(data), indent=2)
        return self._finish(Response(encoded, status, media_type="application/json"))

    def _finish(self, response: Response) -> Response:
        for name, value in guard.HEADERS.items():
            response.headers[name] = value
        if "cache-control" not in response.headers:
            response.headers["cache-control"] = "no-store"
        return response

    def _set_cookie(
        self, response: Response, door: Door, what: str, value: str
    ) -> None:
        """Set a cookie; an empty one is deleted."""
        response.set_cookie(
            self._sessions.cookie_name(what, is_secure=door.is_secure),
            value,
            max_age=None if value else 0,
            path="/",  # `__Host-` asks for it
            secure=door.is_secure,
            httponly=True,
            samesite="strict",
        )

    # What is the frame's own.

    async def _static(self, request: Request) -> Response:
        name = request.path_params["name"]
        content = rendering.read_static(name)
        if content is None:
            raise HTTPException(404)
        response = Response(content, media_type=rendering.STATIC_TYPES[name])
        if request.scope["query_string"]:
            response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return self._finish(response)

    async def _to_root(self, request: Request) -> Response:
        return self._finish(RedirectResponse(ROOT, 308))

    async def _show_login(self, look: _Look) -> Response:
        query = _read_fields(look.request.scope["query_string"], QUERY_FIELDS_MAX)
        return self._login_page(self._login.page(query))

    async def _log_in(self, look: _Look) -> Response:
        form = await read_form(look.request, look.door, login.FORM_BYTES_MAX)
        answer = await _in_time(self._login.log_in(form, look.door))
        if isinstance(answer, Shown):
            return self._login_page(answer)
        response = RedirectResponse(answer.location, 303)
        self._set_cookie(response, look.door, "session", answer.cookie)
        return self._finish(response)

    async def _log_out(self, look: _Look) -> Response:
        session = await self._find_session(look)
        if session is not None:
            await _in_time(self._login.log_out(session))
        response = RedirectResponse(f"{ROOT}/login?out=1", 303)
        self._set_cookie(response, look.door, "session", "")
        return self._finish(response)

    def _login_page(self, shown: Shown) -> Response:
        html = rendering.render(
            "login.html",
            data=shown.data,
            title=shown.title,
            form=shown.form,
            errors=shown.errors,
        )
        return self._html(html, shown.status)


_TITLES: Final = {
    401: "Log in",
    403: "Not allowed",
    404: "Not found",
    500: "This page failed",
    503: "Try again",
}


async def _in_time(doing: Coroutine[Any, Any, T]) -> T:
    """Wait for what stands before a page no longer than people do."""
    try:
        return await within(STORE_S_MAX, doing)
    except TimeoutError as error:
        raise Refused(503, NO_STORE) from error


async def read_form(request: Request, door: Door, bytes_max: int) -> Fields:
    """
    Read the form that was sent.

    Raises:
        ServiceException: it is too large, or does not come.
        Refused: it is no form.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Refused(415, "This takes the form of its page.")
    return _read_fields(await door.read_body(bytes_max), FORM_FIELDS_MAX)


def _read_fields(raw: bytes, fields_max: int) -> Fields:
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=fields_max,
        )
    except ValueError as error:
        raise Refused(400, "What was sent cannot be read as a form.") from error
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        if "\0" in value or "\0" in name:
            raise Refused(400, "What was sent has a NUL character.")
        values.setdefault(name, []).append(value)
    return Fields(values)


def _status_of(error: Refused | ServiceException) -> int:
    return error.status if isinstance(error, Refused) else error.http_status


def _asks_json(look: _Look) -> bool:
    return b"format=json" in look.request.scope["query_string"].split(b"&")


def _own_url(request: Request) -> str:
    query = request.scope["query_string"].decode("latin-1")
    path: str = request.scope["path"]
    return f"{path}?{query}" if query else path


def _json_url(request: Request) -> str:
    """Make the URL of a page's data, whatever the page is called."""
    path: str = request.scope["path"]
    query = request.scope["query_string"].decode("latin-1")
    if path.endswith(_JSON):
        return f"{path}?{query + '&' if query else ''}format=json"
    return f"{path}{_JSON}" + (f"?{query}" if query else "")
