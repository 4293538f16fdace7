"""Whether there is room for what the stack keeps; PostgreSQL's own words about it come too late."""

import shutil
from pathlib import Path

from devstack.errors import StackError

NEEDED_MB = 100


def expect_space(directory: Path) -> None:
    """Raise StackError when the disk of the directory (or of where it will be) is as good as full."""
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    free = shutil.disk_usage(existing).free // 1_000_000
    if free < NEEDED_MB:
        raise StackError(
            f"The disk of {existing} is full",
            why=f"{free} MB are free, the stack needs {NEEDED_MB} MB for its database and its logs",
            fix="make room there, or choose another directory: DEVSTACK_DIR=… autexor stack up",
            code="disk_full",
        )
