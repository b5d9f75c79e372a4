"""The measurements of `kernbench bench train` on next to nothing."""

from kernbench.bench import training


def shrink(monkeypatch):
    """Short lines and small networks."""
    usual_lines, usual_build, usual_plain = training.lines, training.build, training.plain_network
    monkeypatch.setattr(training, "lines", lambda number, _samples=64, seed=0: usual_lines(number, 64, seed))
    monkeypatch.setattr(
        training, "build", lambda *given, **named: usual_build(*given, **named | {"channels": 2, "depth": 3})
    )
    monkeypatch.setattr(training, "plain_network", lambda: usual_plain(2, 3))
    monkeypatch.setattr(training, "MATRIX", 32)
