"""The examples of docs/python.md run from top to bottom, and every value that the page shows is the right one."""

import ast
import re
import shlex
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def shown_values(example):
    """Expression -> the value that the comment behind it shows."""
    lines = example.splitlines()
    expressions = [node.value for node in ast.parse(example).body if isinstance(node, ast.Expr)]
    shown = {ast.unparse(each): lines[each.end_lineno - 1].partition("  # ")[2] for each in expressions}
    return {expression: value for expression, value in shown.items() if value}


def test_its_examples_run_and_show_what_they_give(plain_bench):
    command = shlex.split(re.search(r"```bash\nkernbench (.*)\n```", PAGE)[1])
    assert plain_bench.run(*command).code == 0
    names = {}
    for example in EXAMPLES:
        exec(example, names)  # the page of this repository
        for expression, shown in shown_values(example).items():
            assert repr(eval(expression, names)) == shown, expression


def test_every_documented_function_has_a_short_example_and_shows_a_value():
    documented = [
        "convolve",
        "build",
        "simulate_lines",
        "tolerance_counts",
        "load_network",
        "at_rate",
        "compare",
        "results",
    ]
    assert len(EXAMPLES) == len(documented) + 2  # and two of a kernel: its class, and a network of it
    for name, example in zip(documented, EXAMPLES, strict=False):
        assert re.search(rf"\b{name}\b", example), name
    assert [example for example in EXAMPLES if not shown_values(example)] == EXAMPLES[-2:-1]
    assert max(len(example.splitlines()) for example in EXAMPLES) <= 7
