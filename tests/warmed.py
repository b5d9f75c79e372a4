"""What the fork server does before its first child, so that no child does it: what a process makes once."""

import tempfile
import warnings
from pathlib import Path

from kernbench.report.page.html import _templates
from kernbench.store.database.opening import open_storage

for _name in ("report", "section", "macros", "glossary"):
    _templates().get_template(f"{_name}.html.j2")

with tempfile.TemporaryDirectory() as _folder, warnings.catch_warnings(action="ignore"):  # Optuna reads its migrations
    open_storage(f"sqlite:///{Path(_folder) / 'empty.db'}").close()
