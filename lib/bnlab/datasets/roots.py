"""Where data lie: the argument, else the environment's BNLAB_DATA, else data/downloads of the project."""

import os
from pathlib import Path

from bnlab.datasets.base import DatasetError


def data_root(root: str | os.PathLike | None = None) -> Path:
    """The folder that holds downloaded data, absolute. It need not exist: reading creates nothing.

    Without `root` and BNLAB_DATA it is `data/downloads` below the nearest folder upward of the current one that holds a
    `pyproject.toml`, so that a notebook in `book/` and a command at the root share one copy; else below the current
    folder. Raises DatasetError if `root` is no path.
    """
    if root is not None and (not isinstance(root, str | os.PathLike) or "\0" in str(root)):
        raise DatasetError(f"root={root!r} must be the path of a folder")
    chosen = root or os.environ.get("BNLAB_DATA")
    if chosen:
        return Path(os.path.expanduser(chosen)).absolute()
    here = Path.cwd()
    project = next((folder for folder in (here, *here.parents) if (folder / "pyproject.toml").is_file()), here)
    return project / "data" / "downloads"
