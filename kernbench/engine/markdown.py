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
    """A fenced block of lines that are kept as they are; of a longer text the end.

    Args:
        text: anything; its `str`.
        longest: characters that are kept.
    """
    content = str(text)
    if len(content) > longest:
        content = f"… ({len(content):,} characters)\n{content[-longest:]}"
    lines = [_printable(line) for line in content.splitlines()]
    fence = "`" * max(3, _longest_run("`", content) + 1)
    return "\n".join([f"{fence}text", *lines, fence])


def table(rows: Iterable[tuple[str, str]]) -> str:
    """A table of two columns without a head; both texts are escaped."""
    body = [f"| {plain(name)} | {plain(value)} |" for name, value in rows]
    return "\n".join(["| | |", "|:--|:--|", *body])


def _one_line(text: str, longest: int) -> str:
    # cut first: nobody waits for a name of a gigabyte
    cut = text[: 4 * longest]
    line = " ".join(_printable(cut.replace("\t", " ").replace("\n", " ").replace("\r", " ")).split())
    if len(line) <= longest and len(cut) == len(text):
        return line
    return f"{line[:longest]}… ({len(text):,} characters)"


def _printable(text: str) -> str:
    """Control characters, halves of surrogate pairs and marks that turn the direction of writing replaced."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c)[0] == "C" else c for c in text)


def _longest_run(character: str, text: str) -> int:
    return max(map(len, re.findall(f"{re.escape(character)}+", text)), default=0)
