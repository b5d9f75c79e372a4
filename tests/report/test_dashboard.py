"""The dashboard shows studies and artifacts on loopback, and nothing that is sent to it changes a byte."""

import dataclasses
import hashlib
import io
import json
import re
import sqlite3
import threading
import urllib.error
import urllib.request
from wsgiref.util import setup_testing_defaults

import fakes
import pytest

from kernbench.errors import KernbenchError, StorageError
from kernbench.report.dashboard import serving as dashboard
from kernbench.report.dashboard.read_only import REASON

pytest.importorskip("optuna_dashboard")

QUESTION = "Which one? <b>x</b>"
PICTURE = b"\x89PNG\r\n\x1a\n and then some"


def make_world(folder):
    """A database with a finished study and an artifact for each trial."""
    world = fakes.World(folder)

    def compute(context):
        (context.scratch / "kernel.png").write_bytes(PICTURE)
        return fakes.outcome(artifacts=[context.scratch / "kernel.png"])

    world.run(dataclasses.replace(world.study(), question=QUESTION), compute=compute)
    return world


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A database that the tests of this file only read."""
    return make_world(tmp_path_factory.mktemp("stored"))


def send(app, method, path, body=b"", host="127.0.0.1"):
    """Status and answer of a WSGI application to a request."""
    body = json.dumps(body).encode() if isinstance(body, dict) else body
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "wsgi.input": io.BytesIO(body)}
    environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)), "wsgi.errors": io.StringIO()}
    environ["HTTP_HOST"] = host
    setup_testing_defaults(environ)
    seen = []
    chunks = app(environ, lambda status, *_: seen.append(int(status[:3])))
    answer = b"".join(chunks)
    getattr(chunks, "close", lambda: None)()
    return seen[-1], answer


@pytest.fixture(scope="module")
def app(stored):
    """The WSGI application."""
    return dashboard.application(stored.url, [].append)


def state(world):
    """Every row of every table, and the digest of every artifact."""
    with sqlite3.connect(world.database) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in sorted(names)}
    paths = (world.folder / "kernbench.artifacts").iterdir()
    return rows, {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def artifact(world):
    """Trial and artifact id of the first picture."""
    trial = world.trials()[0]
    meta = next(json.loads(v) for k, v in trial.system_attrs.items() if k.startswith("artifacts:"))
    return trial._trial_id, meta["artifact_id"]


def test_page_studies_and_trials_with_scores_and_attributes_are_served(app):
    code, body = send(app, "GET", "/dashboard")
    assert code == 200
    assert b"<html" in body.lower()
    code, body = send(app, "GET", "/api/studies")
    assert code == 200
    assert [each["study_name"] for each in json.loads(body)["study_summaries"]] == ["mine.v1.quick/discrete"]
    code, body = send(app, "GET", "/api/studies/1")
    assert code == 200
    trials = json.loads(body)["trials"]
    assert [trial["values"] for trial in trials] == [[0.5], [0.5]]
    attributes = {each["key"]: each["value"] for each in trials[0]["user_attrs"]}
    assert attributes["status"] == "ok"


def test_an_artifact_is_served_as_it_is_unless_it_became_a_link(tmp_path):
    world = make_world(tmp_path)
    app = dashboard.application(world.url, pytest.fail)
    trial_id, artifact_id = artifact(world)
    assert send(app, "GET", f"/artifacts/1/{trial_id}/{artifact_id}") == (200, PICTURE)
    (tmp_path / "secret").write_bytes(b"secret")
    path = tmp_path / "kernbench.artifacts" / artifact_id
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    code, body = send(app, "GET", f"/artifacts/1/{trial_id}/{artifact_id}")
    assert code in (404, 500), code
    assert b"secret" not in body


def attempts(world):
    """Requests that would change something: what they do -> method, path, body."""
    trial_id, artifact_id = artifact(world)
    upload = {"file": "data:image/png;base64,AAAA", "filename": "x.png"}
    return {
        "delete study": ("DELETE", "/api/studies/1", {"remove_associated_artifacts": True}),
        "delete study, no body": ("DELETE", "/api/studies/1", b""),
        "create study": ("POST", "/api/studies", {"study_name": "new", "directions": ["minimize"]}),
        "rename study": ("POST", "/api/studies/1/rename", {"study_name": "new"}),
        "study note": ("PUT", "/api/studies/1/note", {"body": "x", "version": 1}),
        "trial note": ("PUT", f"/api/studies/1/{trial_id}/note", {"body": "x", "version": 1}),
        "tell trial": ("POST", f"/api/trials/{trial_id}/tell", {"state": "Fail"}),
        "user attributes": ("POST", f"/api/trials/{trial_id}/user-attrs", {"user_attrs": {"status": "x"}}),
        "preference": (
            "POST",
            "/api/studies/1/preference",
            {"candidates": [0, 1], "clicked": 0, "mode": "ChooseWorst"},
        ),
        "upload trial artifact": ("POST", f"/api/artifacts/1/{trial_id}", upload),
        "upload study artifact": ("POST", "/api/artifacts/1", upload),
        "delete trial artifact": ("DELETE", f"/api/artifacts/1/{trial_id}/{artifact_id}", b""),
        "delete study artifact": ("DELETE", f"/api/artifacts/1/{artifact_id}", b""),
    }


def test_nothing_that_is_sent_changes_a_row_or_a_file_and_the_answer_says_why(stored, caplog, capfd):
    before, lines = state(stored), []
    assert before[1]
    app = dashboard.application(stored.url, lines.append)
    for what, (method, path, body) in attempts(stored).items():
        code, answer = send(app, method, path, body)
        assert (code, json.loads(answer)) == (403, {"reason": REASON}), f"{what}: {method} {path}"
        assert state(stored) == before, what
        assert lines.pop() == f"refused {method} {path}: {REASON}"
        assert not lines
    assert caplog.text == ""  # no traceback
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8080", 200),
        ("localhost:9", 200),
        ("[::1]:8080", 200),
        ("evil.example", 403),
        ("evil.example:8080", 403),
        ("127.0.0.1.evil.example:80", 403),
        ("evil\r\nforged: line", 403),
    ],
)
def test_a_name_of_another_site_that_points_here_reads_nothing(stored, host, code):
    lines = []
    app = dashboard.application(stored.url, lines.append)
    found, body = send(app, "GET", "/api/studies", host=host)
    assert found == code
    assert (b"mine.v1.quick" in body) == (code == 200)
    assert len(lines) == (code == 403)
    assert all(len(line.splitlines()) == 1 for line in lines)


def test_the_line_of_a_refusal_is_one_line_whatever_its_path_holds(stored):
    lines = []
    app = dashboard.application(stored.url, lines.append)
    code, _ = send(app, "POST", "/api/\x1b[2J\r\nforged: line" + "y" * 10_000, b"")
    assert code == 403
    assert "\x1b" not in lines[0]
    assert lines[0].splitlines() == lines
    assert len(lines[0]) < 300


def test_the_attempts_above_work_on_a_dashboard_that_may_write(tmp_path):
    # or else the test above proves nothing
    from optuna.artifacts import FileSystemArtifactStore
    from optuna_dashboard import wsgi

    world = make_world(tmp_path)
    store = FileSystemArtifactStore(str(tmp_path / "kernbench.artifacts"))
    code, _ = send(wsgi(world.storage(), artifact_store=store), *attempts(world)["delete study"])
    rows, files = state(world)
    assert (code, files, rows["studies"]) == (204, {}, [])
    world.close()


def test_a_path_cannot_leave_the_artifact_folder(app, stored):
    (stored.folder / "secret.txt").write_text("secret")
    trial_id, _ = artifact(stored)
    for name in ("../secret.txt", "..%2Fsecret.txt", "%2e%2e/secret.txt", "/etc/passwd"):
        code, body = send(app, "GET", f"/artifacts/1/{trial_id}/{name}")
        assert code >= 300
        assert b"secret" not in body.replace(b"secret.txt", b"")


def test_pages_load_the_additions_which_their_policy_allows_and_no_browser_keeps_them(app):
    seen = {}
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/dashboard/studies/1", "wsgi.input": io.BytesIO()}
    setup_testing_defaults(environ)
    environ["HTTP_IF_MODIFIED_SINCE"] = "Fri, 31 Dec 2100 00:00:00 GMT"  # of a page without additions
    body = b"".join(app(environ, lambda status, headers: seen.update(headers, status=status)))
    assert seen["status"] == "200 OK"
    assert int(seen["Content-Length"]) == len(body)
    assert "script-src 'self'" in seen["Content-Security-Policy"]
    assert "'unsafe-inline'" not in seen["Content-Security-Policy"].partition("script-src")[2]
    assert not {"Last-Modified", "ETag"} & set(seen)
    head = body.partition(b"</head>")[0]
    for name in re.findall(rb'(?:href|src)="(/kernbench/[^"]+)"', head):
        assert send(app, "GET", name.decode())[0] == 200
    assert head.count(b"/kernbench/") == 2
    assert send(app, "GET", "/kernbench/../serving.py")[0] == 404


def test_the_facts_are_the_questions_as_they_were_asked(app):
    code, body = send(app, "GET", "/kernbench/about.json")
    assert (code, json.loads(body)) == (200, {"questions": {"1": QUESTION}, "report": False})


def test_without_a_study_there_is_nothing_to_show(tmp_path):
    (tmp_path / "empty.db").touch()
    with pytest.raises(StorageError, match="holds no study"):
        dashboard.application(f"sqlite:///{tmp_path}/empty.db", pytest.fail)
    with pytest.raises(StorageError, match="no database there yet"):
        dashboard.application(f"sqlite:///{tmp_path}/missing.db", pytest.fail)


@pytest.fixture(scope="module")
def server(stored):
    """A dashboard that serves on a free port; its address and its socket."""
    seen, ready = {"refused": []}, threading.Event()
    usual = dashboard.make_server

    def make_server(*arguments, **options):
        seen["server"] = usual(*arguments, **options)
        return seen["server"]

    def listening(address):
        seen["address"] = address
        ready.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dashboard, "make_server", make_server)
        thread = threading.Thread(target=dashboard.serve, args=(stored.url, 0, listening, seen["refused"].append))
        thread.start()
        assert ready.wait(300)
    yield seen
    seen["server"].shutdown()
    thread.join()


def test_it_listens_on_loopback_only_and_refuses_to_delete(server, stored):
    assert server["server"].socket.getsockname()[0] == "127.0.0.1"
    assert server["address"] == f"http://127.0.0.1:{server['server'].server_port}/"
    with urllib.request.urlopen(server["address"] + "api/studies", timeout=300) as answer:
        assert json.load(answer)["study_summaries"]
    before = state(stored)
    request = urllib.request.Request(server["address"] + "api/studies/1", method="DELETE")
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request, timeout=300)
    assert error.value.code == 403
    assert json.load(error.value) == {"reason": REASON}
    error.value.close()
    assert state(stored) == before
    assert server["refused"] == [f"refused DELETE /api/studies/1: {REASON}"]


def test_a_taken_port_is_one_line(server, stored):
    with pytest.raises(KernbenchError, match=r"port .* cannot be used"):
        dashboard.serve(stored.url, server["server"].server_port, pytest.fail, pytest.fail)


def test_without_the_extra_the_advice_is_how_to_install_it(stored, monkeypatch):
    monkeypatch.setattr(dashboard.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(KernbenchError, match=r"pip install 'kernbench\[dashboard\]'"):
        dashboard.application(stored.url, pytest.fail)
