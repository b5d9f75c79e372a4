"""Import of matplotlib, which reads the user's settings while it is imported."""

from kernbench.errors import KernbenchError, first_line


def check_matplotlib() -> None:
    """Import matplotlib before anything is drawn.

    Raises:
        KernbenchError: a setting of the user, of figures or of their backend, keeps it from being imported.
    """
    try:
        import matplotlib  # noqa: F401, PLC0415
    except ImportError:
        raise
    except Exception as error:
        raise KernbenchError(
            f"matplotlib cannot be imported: {first_line(error)}; correct MPLBACKEND, or the matplotlibrc here or in "
            "your home folder"
        ) from error
