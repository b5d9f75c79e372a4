"""Two hosts, each a network namespace with an address and a name of its own, share one study on a server in a third."""

import collections
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys

import fake_worker
import fakes
import postgres_server
import pytest
from fake_worker import executed
from optuna.trial import TrialState
from worlds import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NET = "10.213.77"
SERVER, HOSTS = "kbserver", {"kbhosta": 11, "kbhostb": 12}
AS_HOST = "import os, socket, sys; socket.sethostname(sys.argv[1]); os.execv(sys.argv[2], sys.argv[2:])"


def ip(words):
    """Run `ip`."""
    try:
        subprocess.run(["ip", *words.split()], check=True, capture_output=True, timeout=150)
    except subprocess.CalledProcessError as error:
        error.add_note(error.stderr.decode().strip())
        raise


def why_not():
    """Why there can be no namespaces here; empty if there can."""
    if os.getuid() != 0:
        return "making network namespaces needs root"
    missing = [name for name in ("ip", "unshare", "setpriv") if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else postgres_server.why_not()


def attach(name, number):
    """Give a namespace, or this one, a cable to the bridge in the server's."""
    inside = f"-n {name}" if name else ""
    card = f"kbeth{number}"
    if not name:  # a namespace goes after a while, and this one's end of the cable with it
        with contextlib.suppress(subprocess.CalledProcessError):
            ip(f"link del {card}")
    ip(f"-n {SERVER} link add kbport{number} type veth peer name {card} netns {name or os.getpid()}")
    ip(f"-n {SERVER} link set kbport{number} master kbbridge up")
    ip(f"{inside} addr add {NET}.{number}/24 dev {card}")
    ip(f"{inside} link set {card} up")


@pytest.fixture(scope="module")
def network():
    """A bridge with an address in a namespace of its own, and two hosts and this one attached to it."""
    if reason := why_not():
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        for name in (SERVER, *HOSTS):
            try:
                ip(f"netns add {name}")
            except subprocess.CalledProcessError as error:
                pytest.skip(f"no network namespace can be made here: {error.stderr.decode().strip()}")
            stack.callback(ip, f"netns del {name}")  # cables go with it
        ip(f"-n {SERVER} link add kbbridge type bridge")
        ip(f"-n {SERVER} addr add {NET}.1/24 dev kbbridge")
        ip(f"-n {SERVER} link set kbbridge up")
        for name, number in HOSTS.items():
            attach(name, number)
        attach("", 10)
        yield f"{NET}.1"


class FarServer(postgres_server.Server):
    """A server in the server's namespace, on the bridge's address alone."""

    host = f"{NET}.1"

    def _call(self, program, *words):
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        command = ["ip", "netns", "exec", SERVER, *user, str(self._binaries / program), *map(str, words)]
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, timeout=120)


@pytest.fixture(scope="module")
def far_server(network):
    """A server that both hosts reach over the network."""
    with postgres_server.running(FarServer) as server:
        server.admit(f"{NET}.0/24")
        yield server


@pytest.fixture
def world(far_server, tmp_path, monkeypatch, request):
    """A database on it."""
    monkeypatch.chdir(tmp_path)
    world = fakes.World(tmp_path, url=far_server.create(f"shared_{len(request.node.name)}"))
    yield world
    world.close()


@contextlib.contextmanager
def working(world, deeds, *hosts, grace=240):
    """A worker on each host, found by its host's name; none is left in the end."""
    environment = {**os.environ, "FAKE_ALONE": "1", "FAKE_TIMES": json.dumps({"heartbeat": 1, "grace": grace})}
    words = [sys.executable, fake_worker.__file__, world.url, str(world.folder / "mine.toml")]
    words += [str(world.folder / "executed"), json.dumps(deeds)]
    processes = {}
    try:
        for host in hosts:
            command = ["ip", "netns", "exec", host, "unshare", "--uts", sys.executable, "-c", AS_HOST, host, *words]
            with (world.folder / f"{host}.log").open("w") as log:
                processes[host] = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        yield processes
    finally:
        for process in processes.values():
            process.kill()
            process.wait()


def host_of(trial):
    """Where a trial ran."""
    return str(trial.user_attrs.get("worker", "")).partition(":")[0]


def said(world):
    """What the workers printed."""
    return {host: (world.folder / f"{host}.log").read_text() for host in HOSTS}


def test_two_hosts_finish_one_study_together(world):
    study = world.study(range(3, 43, 2))
    world.run(study, queue_only=True)
    with working(world, {str(size): "meet,nap" for size in range(3, 43, 2)}, *HOSTS) as processes:
        assert [each.wait(timeout=200) for each in processes.values()] == [0, 0], said(world)
    # one that found the queue empty, because the other had just taken the last cell, leaves a pruned one without a cell
    trials = [trial for trial in world.trials() if "cell" in trial.user_attrs]
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert collections.Counter(executed(world)) == dict.fromkeys(study.cells(), 1)
    assert len(trials) == 20
    assert {host_of(trial) for trial in trials} == set(HOSTS)


def test_a_cell_whose_host_dies_is_finished_by_the_other(world):
    study = world.study()
    world.run(study, queue_only=True)
    with working(world, {"9": "held", "33": "held"}, *HOSTS, grace=40) as processes:
        wait_until(lambda: sum(bool(t.intermediate_values) for t in world.trials(TrialState.RUNNING)) == 2)
        dying, living = HOSTS
        (lost,) = [trial for trial in world.trials(TrialState.RUNNING) if host_of(trial) == dying]
        processes[dying].send_signal(signal.SIGKILL)
        (world.folder / "go").touch()
        assert processes[living].wait(timeout=120) == 0, said(world)
    done = {trial.user_attrs["cell"]: trial for trial in world.trials(TrialState.COMPLETE)}
    assert set(done) == set(study.cells())
    assert {host_of(trial) for trial in done.values()} == {living}
    assert [trial.number for trial in world.trials(TrialState.FAIL)] == [lost.number]
    assert "status" not in lost.user_attrs
