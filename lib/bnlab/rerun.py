"""Execute a chapter with a reader's parameters, checked before a kernel starts, written whole or not at all."""

import os
from collections.abc import Mapping
from pathlib import Path

from bnlab import book
from bnlab.parameters import INJECTED, ParameterError


class RunError(RuntimeError):
    """A run that could not start or did not finish. Its text is one clear line."""


def check(chapter: book.Chapter, given: Mapping[str, object]) -> dict[str, object]:
    """Ask the chapter's own check cell whether it can use these parameters; nothing of the chapter runs.

    Returns:
        The given parameters, coerced to what the chapter declares.

    Raises:
        ParameterError: an unknown name (with the nearest right one), a wrong type or an impossible value.
    """
    for name in given:
        if not name.isidentifier():
            raise ParameterError(f"{name!r} is not a parameter name: it has letters, digits and underscores.")
    injected = "\n".join([INJECTED, *(f"{name} = {value!r}" for name, value in given.items())])
    namespace: dict[str, object] = {p.name: p.default for p in chapter.parameters}
    namespace |= {"In": [injected], **given}
    # The book's own cell, the one that a notebook executes anyway: one mechanism, one message at both doors.
    exec(compile(chapter.check_source, str(chapter.path), "exec"), namespace)  # noqa: S102
    return {name: namespace[name] for name in given}


def execute(chapter: book.Chapter, given: Mapping[str, object], folder: Path, *, progress: bool = True) -> Path:
    """Execute a chapter through papermill into ``folder``, which is made; an earlier run there is never overwritten.

    Returns:
        The executed notebook's path.

    Raises:
        ParameterError: before anything runs, as `check`.
        RunError: papermill is missing, the folder cannot be written, or a cell failed (the notebook up to the failing
            cell is then kept beside, with ``.failed`` in its name).
    """
    parameters = check(chapter, given)
    try:
        import papermill
    except ImportError:
        raise RunError("papermill is not installed: run make book once, or pip install -r requirements.txt.") from None
    target = _free_name(folder, chapter.path.stem)
    partial = folder / f".{target.stem}.partial.ipynb"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.touch()
    except OSError as error:
        raise RunError(f"{folder} cannot be written ({error.strerror}): name a folder that can be with -o.") from None
    # One thread a process, as in the build: the same parameters then give the same numbers.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        papermill.execute_notebook(
            str(chapter.path), str(partial), parameters=parameters, progress_bar=progress, kernel_name="python3",
            cwd=str(chapter.path.parent), request_save_on_cell_execute=True,
        )  # fmt: skip
    except papermill.PapermillExecutionError as failure:
        failed = target.with_suffix(".failed.ipynb")
        os.replace(partial, failed)
        raise RunError(f"a cell failed ({failure.ename}: {failure.evalue}); see {failed}") from None
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    os.replace(partial, target)
    return target


def _free_name(folder: Path, stem: str) -> Path:
    names = [f"{stem}.ipynb", *(f"{stem}-{n}.ipynb" for n in range(2, 10_000))]
    return next(folder / name for name in names if not (folder / name).exists())
