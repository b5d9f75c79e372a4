"""What kernbench adds to the pages of optuna-dashboard: a style that hides buttons, a script that fills the cards.

The policy of these pages allows scripts and styles of their own address only, and these are.
"""

import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from importlib.resources import files
from typing import Any

from optuna.storages import BaseStorage

from kernbench.errors import one_line
from kernbench.report.dashboard.read_only import Application, respond
from kernbench.store.tables.optuna_tables import study_id

PREFIX = "/kernbench/"
_LONGEST = 500  # characters of a question on a card
_STATIC = {"additions.css": "text/css", "additions.js": "text/javascript"}
_TAGS = (
    f'<link rel="stylesheet" href="{PREFIX}additions.css" /><script defer src="{PREFIX}additions.js"></script></head>'
)
_KEPT_BY_BROWSERS = ("content-length", "last-modified", "etag", "accept-ranges")
_CONDITIONS = ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_MATCH", "HTTP_RANGE")


def additions(storage: BaseStorage, has_report: Callable[[], bool]) -> Application:
    """A WSGI application for paths under /kernbench/: style, script, and the facts that the script shows.

    Args:
        storage: whose studies are shown.
        has_report: whether there is a report to link to.
    """

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        name = environ["PATH_INFO"].removeprefix(PREFIX)
        if name == "about.json":
            about = {"questions": _questions(storage), "report": has_report()}
            return respond(start_response, HTTPStatus.OK, "application/json", json.dumps(about))
        if name not in _STATIC:
            return respond(start_response, HTTPStatus.NOT_FOUND, "text/plain", "There is no such file.\n")
        text = files(__package__).joinpath("static", name).read_text(encoding="utf-8")
        return respond(start_response, HTTPStatus.OK, _STATIC[name], text)

    return answer


def with_additions(app: Application) -> Application:
    """The dashboard's application, whose pages load style and script.

    Args:
        app: WSGI application of optuna-dashboard.
    """

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith("/dashboard"):
            return app(environ, start_response)
        asked = {name: value for name, value in environ.items() if name not in _CONDITIONS}
        seen: list[Any] = []
        parts = app(asked, lambda *given: seen.extend(given[:2]))
        body = b"".join(parts)
        getattr(parts, "close", lambda: None)()
        status, headers = seen[:2]
        body = body.replace(b"</head>", _TAGS.encode(), 1)
        kept = [(name, value) for name, value in headers if name.lower() not in _KEPT_BY_BROWSERS]
        start_response(status, [*kept, ("Content-Length", str(len(body))), ("Cache-Control", "no-store")])
        return [body]

    return answer


def _questions(storage: BaseStorage) -> dict[int, str]:
    """Number of a study -> its question, shortened; empty where none was stored."""
    studies = storage.get_all_studies()
    return {study_id(study): one_line(str(study.user_attrs.get("question", "")), _LONGEST) for study in studies}
