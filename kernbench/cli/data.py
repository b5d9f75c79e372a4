"""`kernbench data`: simulate the lines of a study, and show what the cache holds."""

import click


@click.group(name="data")
def data_command() -> None:
    """Simulate data sets and show the cache."""


@data_command.command()
@click.option("--study", "study_name", default="k_sweep", help="Study whose lines to make.", show_default=True)
@click.option("--profile", help="Scale; quick without a CUDA device, else thesis.")
@click.option("--device", default="auto", help="auto, cpu or cuda[:i].", show_default=True)
def simulate(study_name: str, profile: str | None, device: str) -> None:
    """Simulate the training, validation and test lines of a study, so that runs find them in the cache."""
    from kernbench import experiment
    from kernbench.cli import console
    from kernbench.device import choose_device, default_profile
    from kernbench.registry import find_family
    from kernbench.ulm.dataset import cache_folder

    where = choose_device(device)
    study = experiment.load(study_name, find_family("discrete"), profile or default_profile(where))
    with console.observer(study) as observer:
        experiment.prepare(study, where, observer.simulated)
    recipe = experiment.recipe_of(study.definition)
    click.echo(f"data {recipe.digest()}: {recipe.lines} lines, in {cache_folder()}")


@data_command.command()
def info() -> None:
    """Data sets in the cache: recipe, lines, size, and whether the files are whole."""
    from kernbench.cli import console

    console.print_cache()
