"""Foreign text stays text: markdown-it, another implementation of CommonMark, reads back what was written."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from kernbench.engine.notes.markdown import block, code, plain, table

NASTY = st.text(alphabet="`~*_#<>|[]()!\\$&;:-+=1. ab\n\r\t\u202e\x00\ud800é", max_size=60) | st.text(max_size=60)
PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def as_line(text):
    """The text on one line, what cannot be shown replaced: what is to be read back."""
    kept = ("�" if unicodedata.category(c)[0] == "C" and not c.isspace() else c for c in text)
    return " ".join("".join(kept).split())


def inline(markdown):
    """Inline tokens of a text that is one paragraph."""
    tokens = PARSER.parse(markdown)
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    return tokens[1].children


@given(NASTY)
def test_plain_text_is_read_back_as_one_paragraph_of_text(text):
    tokens = inline(f"{plain(text)}z")
    assert {token.type for token in tokens} <= {"text", "text_special"}
    assert "".join(token.content for token in tokens) == f"{as_line(text)}z"


@given(NASTY)
def test_code_is_read_back_as_one_span(text):
    if not as_line(text):
        assert code(text) == ""
        return
    (span,) = inline(code(text))
    assert (span.type, span.content) == ("code_inline", as_line(text))


@given(NASTY, NASTY)
def test_a_table_keeps_its_two_cells(name, value):
    tokens = PARSER.parse(table([(name, value), ("b", "c")]))
    cells = [each.children for each, before in zip(tokens[1:], tokens, strict=False) if before.type == "td_open"]
    read = ["".join(token.content for token in cell) for cell in cells]
    assert read == [as_line(name), as_line(value), "b", "c"]


@given(NASTY)
def test_a_block_is_one_block(text):
    tokens = PARSER.parse(f"before\n\n{block(text)}\n\nafter")
    assert [token.type for token in tokens if not token.type.startswith("paragraph")] == ["inline", "fence", "inline"]


def test_long_texts_are_cut_and_say_so():
    assert len(plain("x" * 10_000)) < 400
    assert "(10,000 characters)" in code("x" * 10_000)
    lines = [f"line {number}" for number in range(10_000)]
    cut = block("\n".join(lines)).splitlines()
    assert cut[-2] == "line 9999"
    assert len("\n".join(cut)) < 10_000
    assert cut[1] == f"… ({10_000 - len(cut) + 3:,} lines left out)"


def test_a_long_last_line_does_not_push_out_the_frames():
    shown = block("File a.py, line 1\nValueError: " + "x" * 10_000)
    assert "File a.py" in shown
    assert "(10,012 characters)" in shown
