"""Execute a chapter with a reader's parameters, checked before a kernel starts, written whole or not at all."""

import json
import logging
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path

from bnlab.claims import book
from bnlab.commands.glued import filled
from bnlab.commands.parameters import INJECTED, ParameterError, unknown
from bnlab.records.files import write_atomically
from bnlab.sweeps.stopping import stopping


class RunError(RuntimeError):
    """A run that could not start or did not finish. Its text is one clear line."""


def check(chapter: book.Chapter, given: Mapping[str, object]) -> dict[str, object]:
    """Ask the chapter's own check cell whether it can use these parameters; nothing of the chapter runs.

    Returns:
        The given parameters, coerced to what the chapter declares.

    Raises:
        ParameterError: an unknown name (with the nearest right one), a wrong type or an impossible value.
        RunError: the check cell itself does not work.
    """
    defaults = {parameter.name: parameter.default for parameter in chapter.parameters}
    for name in given:
        # Here, not in the cell: a parameter called class or globals would stop the cell before it could answer.
        if name not in defaults:
            raise unknown(name, defaults)
    injected = "\n".join([INJECTED, *(f"{name} = {value!r}" for name, value in given.items())])
    namespace = {**defaults, **given, "In": [injected]}
    try:
        # The book's own cell, the one that a notebook executes anyway: one mechanism, one message at both doors.
        exec(compile(chapter.check_source, str(chapter.path), "exec"), namespace)  # noqa: S102
    except ParameterError as error:
        # The chapter may stumble over a default that does not go with what was given: then both are named.
        if not given or str(error).partition(" = ")[0] in given:
            raise
        asked = ", ".join(f"{name} = {' '.join(str(value).split())[:40]}" for name, value in given.items())
        raise ParameterError(f"with {asked}: {error}") from None
    except Exception as error:
        raise RunError(f"the check cell of {chapter.path} fails ({_line(error)}).") from None
    return {name: namespace[name] for name in given}


def may_be(chapter: book.Chapter) -> dict[str, str]:
    """Say in words what each parameter of a chapter may be, by asking its check cell what it makes of an empty text.

    Raises:
        RunError: the check cell itself does not work.
    """
    found = {}
    for parameter in chapter.parameters:
        try:
            check(chapter, {parameter.name: ""})  # no kind takes it
        except ParameterError as error:
            said = str(error).partition("): it must be ")[2]
            found |= {parameter.name: said.removesuffix(".")} if said else {}
    return found


def execute(chapter: book.Chapter, given: Mapping[str, object], folder: Path, *, progress: bool = True) -> Path:
    """Execute a chapter through papermill into ``folder``, which is made; an earlier run there is never overwritten.

    Numbers in its text are then those of this run (`glued.filled`).

    Returns:
        The executed notebook's path.

    Raises:
        ParameterError: before anything runs, as `check`.
        RunError: papermill is missing, the folder cannot be written, the kernel died, or a cell failed (the notebook
            up to the failing cell is then kept in the folder, with ``.failed`` in its name).
        KeyboardInterrupt: told to stop, by Ctrl-C or SIGTERM; what was executed is kept, with ``.stopped`` in its name,
            and its text is one line that says where.
    """
    parameters = check(chapter, given)
    try:
        import papermill
    except ImportError:
        raise RunError("papermill is not installed: run make book once, or pip install -r requirements.txt.") from None
    stem = chapter.path.stem
    partial = folder / f".{stem}.{secrets.token_hex(4)}.partial.ipynb"  # two runs may share a folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.touch()
    except OSError as error:
        raise RunError(f"{folder} cannot be written ({error.strerror}): name a folder that can be with -o.") from None
    # One thread a process, as in the build: the same parameters then give the same numbers.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # What goes wrong comes back as an exception; a stopped cell's task, or an interrupted callback, would tell of it
    # besides, and late.
    for name in ("papermill", "asyncio", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with stopping():
            papermill.execute_notebook(
                _unformatted(chapter.path), _unformatted(partial), parameters=parameters, progress_bar=progress,
                kernel_name="python3", cwd=str(chapter.path.parent), request_save_on_cell_execute=True,
                extra_arguments=["--Application.log_level=50"],  # the kernel's own remarks, on transport and the like
            )  # fmt: skip
        with suppress(OSError):  # a full disk: the run is kept as papermill wrote it
            write_atomically(partial, json.dumps(filled(book.read_notebook(partial)), indent=1).encode())
        return _publish(partial, folder, stem, ".ipynb")
    except papermill.PapermillExecutionError as failure:
        failed = _publish(partial, folder, stem, ".failed.ipynb")
        raise RunError(f"a cell failed ({failure.ename}: {failure.evalue}); see {failed}") from None
    except Exception as error:  # a kernel that died or is not there, a full disk: papermill's own kinds are many
        raise RunError(f"chapter {chapter.number} could not be executed ({_line(error)}).") from None
    except KeyboardInterrupt:
        if not _began(partial):
            raise KeyboardInterrupt("stopped; there was nothing to keep yet.") from None
        raise KeyboardInterrupt(
            f"stopped; what was executed is kept in {_publish(partial, folder, stem, '.stopped.ipynb')}"
        ) from None
    finally:
        partial.unlink(missing_ok=True)


def _began(partial: Path) -> bool:
    """Tell whether a notebook holds an executed cell; not, if it was being written when the run was stopped."""
    try:
        return any(cell.get("execution_count") for cell in book.read_notebook(partial)["cells"])
    except book.BookError:
        return False


def _publish(partial: Path, folder: Path, stem: str, ending: str) -> Path:
    """Give a finished notebook the first free name; linking, unlike renaming, never replaces another run's file."""
    for number in count(1):
        target = folder / (f"{stem}{ending}" if number == 1 else f"{stem}-{number}{ending}")
        try:
            os.link(partial, target)
        except FileExistsError:
            continue
        except OSError:  # a file system without links
            if target.exists():
                continue
            os.replace(partial, target)
        return target


def _unformatted(path: Path) -> str:
    return str(path).replace("{", "{{").replace("}", "}}")  # papermill formats paths with its parameters


def _line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return type(error).__name__ + (f": {text[-1]}" if text else "")
