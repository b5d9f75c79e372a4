"""Processes forked from one that has imported everything: started in milliseconds, processes in every other way.

`Forked` has of `subprocess.Popen` what the tests use. Their parent is Python's fork server, not this process.
"""

import contextlib
import faulthandler
import io
import multiprocessing
import os
import subprocess
import sys
import threading
from multiprocessing import forkserver
from multiprocessing.reduction import DupFd
from pathlib import Path
from unittest import mock

from kernbench.engine.fleet import children

PRELOADED = """
    kernbench.cli.run kernbench.cli.worker kernbench.cli.terminal.console kernbench.ulm.cells.run
    kernbench.engine.fleet.runner kernbench.engine.fleet.joining kernbench.engine.fleet.disk kernbench.report.page.html
    kernbench.ulm.cells.pictures kernbench.ulm.cells.preflight kernbench_siren kernbench_discrete psycopg optuna
    optuna_dashboard torch._dynamo warmed
"""
HERE = str(Path(__file__).parent)
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(PRELOADED.split())


def _serve():
    """Start the fork server, if it does not run: its imports find the modules beside this one."""
    path = os.pathsep.join(filter(None, [HERE, os.environ.get("PYTHONPATH")]))
    with mock.patch.dict(os.environ, {"PYTHONPATH": path}):
        forkserver.ensure_running()


class _Handed:
    """A file descriptor that goes to the new process."""

    def __init__(self, descriptor):
        self._descriptor = descriptor

    def __reduce__(self):
        return _taken, (DupFd(self._descriptor),)


def _taken(duplicate):
    return duplicate.detach()


def _become(function, words, descriptors, folder, environment, session):
    """What the new process does."""
    if session:
        os.setsid()
    for place, descriptor in descriptors.items():
        os.dup2(descriptor, place)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115  # a descriptor
    sys.stdout = io.TextIOWrapper(open(1, "wb", 0), "utf-8", write_through=True)  # noqa: SIM115
    sys.stderr = io.TextIOWrapper(open(2, "wb", 0), "utf-8", write_through=True)  # noqa: SIM115
    if "PYTHONFAULTHANDLER" in environment:
        faulthandler.enable()
    function(*words)


class Forked:
    """A process that calls a function of a module.

    Args:
        function: called with `words`; SystemExit ends the process with its code.
        words: texts.
        args: what the command line would be, for messages.
        stdin, stdout, stderr, cwd, env, start_new_session: as of `subprocess.Popen`; pipes carry text.
    """

    def __init__(
        self, function, words, args=(), *, stdin=None, stdout=None, stderr=None, cwd=None, env=None, session=False
    ):
        self.args, self.stdin, self.stdout, self.stderr = [*args], None, None, None
        with contextlib.ExitStack() as handed:
            descriptors = {}
            if stdin == subprocess.PIPE:
                theirs, ours = os.pipe()
                handed.callback(os.close, theirs)
                descriptors[0], self.stdin = theirs, open(ours, "w", encoding="utf-8")  # noqa: PTH123, SIM115
            for place, name, wanted in ((1, "stdout", stdout), (2, "stderr", stderr)):
                if wanted == subprocess.PIPE:
                    ours, theirs = os.pipe()
                    handed.callback(os.close, theirs)
                    setattr(self, name, open(ours, encoding="utf-8"))  # noqa: PTH123, SIM115
                    descriptors[place] = theirs
                elif wanted == subprocess.STDOUT:
                    descriptors[place] = descriptors[1]
                elif wanted is not None:
                    descriptors[place] = wanted if isinstance(wanted, int) else wanted.fileno()
            given = {place: _Handed(descriptor) for place, descriptor in descriptors.items()}
            environment = dict(os.environ if env is None else env)
            what = (function, [*map(str, words)], given, str(cwd or os.getcwd()), environment, session)  # noqa: PTH109
            self._process = processes.Process(target=_become, args=what)
            _serve()
            self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self):
        """Exit code, minus the signal's number, or None while it runs."""
        return self._process.exitcode

    def poll(self):
        """The same."""
        return self._process.exitcode

    def wait(self, timeout=None):
        """Exit code, when it has ended."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self._process.exitcode

    def send_signal(self, number):
        """Send a signal, unless it has ended."""
        if self._process.exitcode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self):
        """SIGKILL."""
        self._process.kill()

    def communicate(self, timeout=None):
        """What is left in its pipes, when it has ended."""
        said = {}

        def read(name):
            pipe = getattr(self, name)
            if pipe is not None and not pipe.closed:
                with pipe:
                    said[name] = pipe.read()

        threads = [threading.Thread(target=read, args=(name,), daemon=True) for name in ("stdout", "stderr")]
        for thread in threads:
            thread.start()
        self.wait(timeout)
        for thread in threads:
            thread.join(timeout)
        return said.get("stdout"), said.get("stderr")


@contextlib.contextmanager
def as_children(script, function):
    """Have a coordinator fork its workers where it would run this script, `python SCRIPT WORDS`; gives those begun."""
    usual, begun = subprocess.Popen, []

    def start(command, **options):
        if script not in command:
            return usual(command, **options)
        options["session"] = options.pop("start_new_session", False)
        begun.append(Forked(function, command[command.index(script) + 1 :], command, **options))
        return begun[-1]

    with mock.patch.object(children.subprocess, "Popen", start):
        yield begun


def call_main(*words):
    """`kernbench WORDS`."""
    from kernbench.cli import main

    sys.argv = ["kernbench", *words]
    main()


def call_main_without_figures(*words):
    """The same without a page and without figures of each cell, which take longer than to train small ones."""
    from kernbench.cli.terminal import console
    from kernbench.ulm.cells import artifacts

    console.write_report = lambda *_args, **_options: None
    artifacts._pictures = lambda *_: []
    call_main(*words)
