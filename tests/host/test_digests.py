"""A digest is that of hashlib, and names that are stored do not move."""

import hashlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernbench.host import files


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # every example overwrites the file
@given(st.lists(st.binary() | st.text()), st.integers(1, 64))
def test_a_digest_is_that_of_hashlib_of_parts_text_bytes_and_files(tmp_path, parts, digits):
    encoded = [part.encode() if isinstance(part, str) else part for part in parts]
    (tmp_path / "file").write_bytes(b"".join(encoded))
    expected = hashlib.sha256(b"".join(encoded)).hexdigest()
    for length, given_digits in ((64, ()), (digits, (digits,))):
        assert files.sha256_of_parts(iter(parts), *given_digits) == expected[:length]
        assert files.sha256_of_file(tmp_path / "file", *given_digits) == expected[:length]
        for part, each in zip(parts, encoded, strict=True):
            assert files.sha256_of(part, *given_digits) == hashlib.sha256(each).hexdigest()[:length]


def test_a_file_that_is_not_there_has_no_digest(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.sha256_of_file(tmp_path / "file")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), values, max_size=5))
def test_a_digest_of_json_depends_on_the_content_only(content):
    text = files.canonical(content)
    assert json.loads(text) == content
    assert files.canonical(dict(reversed(content.items()))) == text
    assert files.json_digest(content) == hashlib.sha256(text.encode()).hexdigest()[:12]


def test_digests_that_name_stored_data_do_not_move():
    """Worked out by sha256sum from the text of the next line: databases and caches hold such names."""
    assert files.canonical({"b": "é", "a": [1, 2.5, None]}) == '{"a":[1,2.5,null],"b":"\\u00e9"}'
    assert files.json_digest({"b": "é", "a": [1, 2.5, None]}) == "45584828a616"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_has_not_has_no_digest(value):
    with pytest.raises(ValueError, match="Out of range"):
        files.json_digest({"a": value})
