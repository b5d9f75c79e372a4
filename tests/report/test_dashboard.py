"""The dashboard shows studies and artifacts on loopback, and nothing that is sent to it changes a byte."""

import hashlib
import io
import json
import sqlite3
import threading
import urllib.error
import urllib.request

import fakes
import pytest

from kernbench.errors import KernbenchError, StorageError
from kernbench.report import dashboard

pytest.importorskip("optuna_dashboard")

PICTURE = b"\x89PNG\r\n\x1a\n and then some"


@pytest.fixture
def stored(tmp_path):
    """A database with a finished study and an artifact for each trial."""
    world = fakes.World(tmp_path)

    def compute(context):
        (context.scratch / "kernel.png").write_bytes(PICTURE)
        return fakes.outcome(artifacts=[context.scratch / "kernel.png"])

    world.run(compute=compute)
    return world


@pytest.fixture
def application(stored):
    """The WSGI application, and a function that sends it a request."""
    app = dashboard.application(stored.url)

    def send(method, path, body=b"", kind="application/json"):
        seen = {}
        body = json.dumps(body).encode() if isinstance(body, dict) else body
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8080",
            "HTTP_HOST": "127.0.0.1:8080",
            "CONTENT_TYPE": kind,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "wsgi.url_scheme": "http",
        }
        chunks = app(environ, lambda status, *_: seen.update(code=int(status[:3])))
        answer = b"".join(chunks)
        getattr(chunks, "close", lambda: None)()
        return seen["code"], answer

    return send


def rows(world):
    """Every row of every table."""
    with sqlite3.connect(world.database) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in sorted(names)}


def files(world):
    """Artifact -> digest of its content."""
    folder = world.folder / "kernbench.artifacts"
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def artifact(world):
    """Trial and artifact id of the first picture."""
    trial = world.trials()[0]
    meta = next(json.loads(v) for k, v in trial.system_attrs.items() if k.startswith("artifacts:"))
    return trial._trial_id, meta["artifact_id"]


def test_studies_are_listed(application):
    code, body = application("GET", "/api/studies")
    assert code == 200
    assert [each["study_name"] for each in json.loads(body)["study_summaries"]] == ["mine.v1.quick/discrete"]


def test_trials_show_their_scores_and_attributes(application):
    code, body = application("GET", "/api/studies/1")
    assert code == 200
    trials = json.loads(body)["trials"]
    assert [trial["values"] for trial in trials] == [[0.5], [0.5]]
    attributes = {each["key"]: each["value"] for each in trials[0]["user_attrs"]}
    assert attributes["status"] == "ok"


def test_an_artifact_is_served_as_it_is(application, stored):
    trial_id, artifact_id = artifact(stored)
    code, body = application("GET", f"/artifacts/1/{trial_id}/{artifact_id}")
    assert (code, body) == (200, PICTURE)


def test_an_artifact_that_became_a_link_is_not_served(application, stored, tmp_path):
    trial_id, artifact_id = artifact(stored)
    (tmp_path / "secret").write_bytes(b"secret")
    path = stored.folder / "kernbench.artifacts" / artifact_id
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    code, body = application("GET", f"/artifacts/1/{trial_id}/{artifact_id}")
    assert code in (404, 500), code
    assert b"secret" not in body


def test_the_page_itself_is_served(application):
    code, body = application("GET", "/dashboard")
    assert code == 200
    assert b"<html" in body.lower()


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


def test_nothing_that_is_sent_changes_a_row_or_a_file(application, stored):
    before = rows(stored), files(stored)
    assert before[1]
    for what, (method, path, body) in attempts(stored).items():
        code, _ = application(method, path, body)
        assert code >= 400, f"{what}: {method} {path} gave {code}"
        assert (rows(stored), files(stored)) == before, what


def test_the_attempts_above_work_on_a_dashboard_that_may_write(stored):
    # or else the test above proves nothing
    from optuna.artifacts import FileSystemArtifactStore
    from optuna_dashboard import wsgi

    store = FileSystemArtifactStore(str(stored.folder / "kernbench.artifacts"))
    app = wsgi(stored.storage(), artifact_store=store)
    method, path, body = attempts(stored)["delete study"]
    body = json.dumps(body).encode()
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
    }
    codes = []
    list(app(environ, lambda status, *_: codes.append(status[:3])))
    assert codes == ["204"]
    assert files(stored) == {}
    assert rows(stored)["studies"] == []


def test_a_path_cannot_leave_the_artifact_folder(application, stored):
    (stored.folder / "secret.txt").write_text("secret")
    trial_id, _ = artifact(stored)
    for name in ("../secret.txt", "..%2Fsecret.txt", "%2e%2e/secret.txt", "/etc/passwd"):
        code, body = application("GET", f"/artifacts/1/{trial_id}/{name}")
        assert code >= 300
        assert b"secret" not in body.replace(b"secret.txt", b"")


def test_without_a_study_there_is_nothing_to_show(tmp_path):
    (tmp_path / "empty.db").touch()
    with pytest.raises(StorageError, match="holds no study"):
        dashboard.application(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(StorageError, match="no database there yet"):
        dashboard.application(f"sqlite:///{tmp_path}/missing.db")


@pytest.fixture
def server(stored, monkeypatch):
    """A dashboard that serves on a free port; its address and its socket."""
    seen, ready = {}, threading.Event()
    usual = dashboard.make_server

    def make_server(*arguments, **options):
        seen["server"] = usual(*arguments, **options)
        return seen["server"]

    def listening(address):
        seen["address"] = address
        ready.set()

    monkeypatch.setattr(dashboard, "make_server", make_server)
    thread = threading.Thread(target=dashboard.serve, args=(stored.url, 0, listening))
    thread.start()
    assert ready.wait(60)
    yield seen
    seen["server"].shutdown()
    thread.join()


def test_it_listens_on_loopback_only(server):
    assert server["server"].socket.getsockname()[0] == "127.0.0.1"
    assert server["address"] == f"http://127.0.0.1:{server['server'].server_port}/"
    with urllib.request.urlopen(server["address"] + "api/studies", timeout=30) as answer:
        assert json.load(answer)["study_summaries"]


def test_over_the_wire_a_delete_is_refused(server, stored):
    before = rows(stored), files(stored)
    request = urllib.request.Request(server["address"] + "api/studies/1", method="DELETE")
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request, timeout=30)
    assert error.value.code >= 400
    error.value.close()
    assert (rows(stored), files(stored)) == before


def test_a_taken_port_is_one_line(server, stored):
    with pytest.raises(KernbenchError, match=r"port .* cannot be used"):
        dashboard.serve(stored.url, server["server"].server_port, pytest.fail)


def test_without_the_extra_the_advice_is_how_to_install_it(stored, monkeypatch):
    monkeypatch.setattr(dashboard.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(KernbenchError, match=r"pip install 'kernbench\[dashboard\]'"):
        dashboard.application(stored.url)
