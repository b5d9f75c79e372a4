"""The lines of the study of a trained network, as its cell had them; nothing is simulated."""

from kernbench.errors import DataError
from kernbench.ulm.data.find import DataSet, find_set
from kernbench.ulm.evaluation.trained import Trained


def lines_of_cell(trained: Trained, split: str) -> DataSet:
    """Lines of a split as the cell of a network had them.

    Args:
        trained: a network of ours.
        split: "train", "validation" or "test".

    Raises:
        DataError: it had no such split, or its lines are not in the cache.
    """
    digests = trained.facts["data"]
    if split not in digests:
        raise DataError(f"{trained.label} has no {split!r} lines; expected one of {', '.join(digests)}")
    try:
        return find_set(digests[split])
    except DataError as error:
        name, _, profile = str(trained.facts["study"]).partition("/")[0].split(".", 2)
        raise DataError(
            f"the {split} lines of {trained.label}, {digests[split]}, are not in the cache; `kernbench data simulate "
            f"--study {name} --profile {profile}` makes them (of a study file give its path), or name others by --data"
        ) from error
