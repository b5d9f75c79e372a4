"""Requests that would change something, or that ask for another host, are refused before optuna-dashboard sees them."""

import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from kernbench.errors import one_line

REASON = "this dashboard is for reading only; nothing was changed"
_READING = ("GET", "HEAD")
# A page of another site may have its name point here and then read what is shown; its browser still says that name.
_OWN_NAMES = ("127.0.0.1", "localhost", "[::1]")
_DRAINED = 1 << 24  # bytes of a refused request that are read, so that a browser reads the answer

Application = Callable[..., Iterable[bytes]]


def read_only(app: Application, refused: Callable[[str], None]) -> Application:
    """The application without what changes something: such a request gets 403 and the reason as JSON.

    So does one that names another host than this machine.

    Args:
        app: WSGI application.
        refused: called with one line for each request that is refused.
    """

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, host = environ["REQUEST_METHOD"], environ.get("HTTP_HOST") or _OWN_NAMES[0]
        if host.rpartition(":")[0] not in _OWN_NAMES and host not in _OWN_NAMES:
            refused(f"refused {one_line(f'{method} for host {host}', 200)}: this dashboard answers on {_OWN_NAMES[0]}")
            body = json.dumps({"reason": f"ask for {_OWN_NAMES[0]} or localhost"})
            return respond(start_response, HTTPStatus.FORBIDDEN, "application/json", body)
        if method in _READING:
            return app(environ, start_response)
        _drain(environ)
        asked = one_line(f"{method} {environ.get('PATH_INFO', '')}", 200)
        refused(f"refused {asked}: {REASON}")
        return respond(start_response, HTTPStatus.FORBIDDEN, "application/json", json.dumps({"reason": REASON}))

    return answer


def respond(
    start_response: Callable[..., Any],
    status: HTTPStatus,
    kind: str,
    body: str | bytes,
    more: Iterable[tuple[str, str]] = (),
) -> list[bytes]:
    """A whole answer, which no browser keeps or takes for another kind.

    Args:
        start_response: of WSGI.
        status: of HTTP.
        kind: media type.
        body: text as UTF-8, or bytes.
        more: further headers.
    """
    content = body.encode() if isinstance(body, str) else body
    headers = [
        ("Content-Type", kind if isinstance(body, bytes) else f"{kind}; charset=utf-8"),
        ("Content-Length", str(len(content))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    start_response(f"{status.value} {status.phrase}", [*headers, *more])
    return [content]


def _drain(environ: dict[str, Any]) -> None:
    length = environ.get("CONTENT_LENGTH") or ""
    left = min(int(length), _DRAINED) if length.isdecimal() else 0
    while left > 0 and (part := environ["wsgi.input"].read(min(left, 1 << 16))):
        left -= len(part)
