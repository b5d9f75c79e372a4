"""Foreign text in Markdown: names, parameters and error lines stay what they are, whatever characters they hold."""

import re
import unicodedata
from collections.abc import Iterable

LONGEST = 300  # characters of a name or a line
LONGEST_BLOCK = 4000  # characters of a traceback; its end says most
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")  # CommonMark: a backslash before any of these makes it itself


def plain(text: object, longest: int = LONGEST) -> str:
    """Running text on one line, every character that means something to Markdown or HTML escaped.

    Args:
        text: anything; its `str`.
        longest: characters that are kept, before escaping.
    """
    return _PUNCTUATION.sub(r"\\\1", _one_line(str(text), longest))


def code(text: object, longest: int = LONGEST) -> str:
    """An inline code span; not for table cells, which end at a bar even inside code.

    Args:
        text: anything; its `str`.
        longest: characters that are kept.
    """
    line = _one_line(str(text), longest)
    if not line:
        return ""
    ticks = "`" * (_longest_run("`", line) + 1)
    return f"{ticks} {line} {ticks}"  # CommonMark takes one blank off each side


def block(text: object, longest: int = LONGEST_BLOCK) -> str:
    """A fenced block: lines as they are, long ones cut; of a longer text the last lines.

    Args:
        text: anything; its `str`.
        longest: characters that are kept.
    """
    lines = [_cut(_printable(line), LONGEST) for line in str(text).splitlines()]
    kept: list[str] = []
    while lines and sum(map(len, kept)) + len(lines[-1]) <= longest:
        kept.insert(0, lines.pop())
    body = [f"… ({len(lines):,} lines left out)", *kept] if lines else kept
    fence = "`" * max(3, _longest_run("`", "\n".join(body)) + 1)
    return "\n".join([f"{fence}text", *body, fence])


def table(rows: Iterable[tuple[str, str]]) -> str:
    """A table of two columns without a head; both texts are escaped."""
    body = [f"| {plain(name)} | {plain(value)} |" for name, value in rows]
    return "\n".join(["| | |", "|:--|:--|", *body])


def _one_line(text: str, longest: int) -> str:
    # cut before, too: a name of a gigabyte takes no time
    return _cut(" ".join(_printable(re.sub(r"\s", " ", text[: 100 * longest])).split()), longest)


def _cut(line: str, longest: int) -> str:
    return line if len(line) <= longest else f"{line[:longest]}… ({len(line):,} characters)"


def _printable(text: str) -> str:
    """Control characters, halves of surrogate pairs and marks that turn the direction of writing replaced."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c)[0] == "C" else c for c in text)


def _longest_run(character: str, text: str) -> int:
    return max(map(len, re.findall(f"{re.escape(character)}+", text)), default=0)
