"""Names of stored studies: which studies a word means, and what is said where it means none."""

from collections.abc import Collection

from kernbench.errors import StudyError, close_match


def matches(stored: str, wanted: str) -> bool:
    """Whether a name means a stored study: its key, or the part before the family or before the version."""
    return wanted in (stored, stored.partition("/")[0], stored.partition(".")[0])


def check_stored(name: str, stored: Collection[str], where: str) -> None:
    """Refuse a name that means none of the stored studies.

    Raises:
        StudyError: it means none; with a close match.
    """
    if not any(matches(each, name) for each in stored):
        bases = {each.partition(".")[0] for each in stored}
        hint = close_match(name, {*bases, *stored}) or f"; stored: {', '.join(sorted(stored)) or 'none'}"
        raise StudyError(f"no study {name!r} in {where}{hint}")


def check_family(family: str, stored: Collection[str], where: str) -> None:
    """Refuse a kernel family of which there is no stored study.

    Raises:
        StudyError: there is none; with a close match.
    """
    known = {family_of(name) for name in stored}
    if family not in known:
        hint = close_match(family, known) or f"; stored: {', '.join(sorted(known)) or 'none'}"
        raise StudyError(f"no study of kernel family {family!r} in {where}{hint}")


def family_of(stored: str) -> str:
    """Kernel family of a stored study, by its name."""
    return stored.rpartition("/")[2]
