"""The measurements of `kernbench bench train` on next to nothing."""

from kernbench.bench import train


def shrink(monkeypatch):
    """Short lines and small networks."""
    usual_lines, usual_build, usual_plain = train.lines, train.build, train.plain_network
    monkeypatch.setattr(train, "lines", lambda number, _samples=64, seed=0: usual_lines(number, 64, seed))
    monkeypatch.setattr(
        train, "build", lambda *given, **named: usual_build(*given, **named | {"channels": 2, "depth": 3})
    )
    monkeypatch.setattr(train, "plain_network", lambda: usual_plain(2, 3))
    monkeypatch.setattr(train, "MATRIX", 32)
