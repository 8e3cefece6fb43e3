import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from conftest import CHECK, tiny_chapter, write_json

from bnlab.claims import book
from bnlab.commands import compare as comparison
from bnlab.commands import run as rerun
from bnlab.commands.parameters import ParameterError
from bnlab.commands.run import RunError


def refusal(kind, function, *arguments, **more) -> str:
    with pytest.raises(kind) as caught:
        function(*arguments, **more)
    return str(caught.value)


def outputs(path) -> str:
    cells = [cell for cell in book.read_notebook(path)["cells"] if cell["cell_type"] == "code"]
    return "".join("".join(out.get("text", "")) for cell in cells for out in cell["outputs"])


def test_what_is_given_arrives_as_what_it_looks_like(mini):
    given = {"epochs": "3", "rates": "[1e-3, 2]", "shuffle": "no", "step": "1e-3", "note": "1e-3"}
    assert rerun.check(book.chapter("90"), given) == {
        "epochs": 3,
        "rates": [0.001, 2.0],
        "shuffle": False,
        "step": 0.001,
        "note": "1e-3",
    }


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"epoch": "3"}, "unknown parameter epoch: did you mean epochs? This chapter has epochs, rates,"),
        ({"class": "3"}, "unknown parameter class: This chapter has"),
        ({"globals": "3"}, "unknown parameter globals: "),
        ({"In": "3"}, "unknown parameter In: "),
        ({"parameters": "3"}, "unknown parameter parameters: "),
        ({"__name__": "3"}, "unknown parameter __name__: "),
        ({"a b": "3"}, "unknown parameter 'a b': "),
        ({"": "3"}, "unknown parameter '': "),
        ({"x = 1; import os": "3"}, "unknown parameter 'x = 1; import os': "),
        (
            {"epochs": "0"},
            "epochs = '0' cannot be used (below 1): it must be a whole number, at least 1 and at most 100.",
        ),
        ({"epochs": "two"}, "epochs = 'two' cannot be used (not a number)"),
        ({"norm": "bach"}, "norm = 'bach' cannot be used (did you mean 'batch'?)"),
        ({"step": "inf"}, "step = 'inf' cannot be used (not finite"),
        ({"device": "gpu"}, "device = 'gpu' cannot be used"),
    ],
)
def test_bad_parameters_are_refused_before_anything_is_made(mini, tmp_path, given, line):
    assert refusal(ParameterError, rerun.execute, book.chapter("90"), given, tmp_path / "out").startswith(line)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "source", ["1 / 0", "import no_such_module", "x = = 1", "%matplotlib inline", "print(undefined)"]
)
def test_a_check_cell_that_does_not_work_is_named(mini, tmp_path, source):
    broken = tiny_chapter()
    broken["cells"][2]["source"] = f"{source}\n{CHECK}"
    write_json(mini / "book" / "90_tiny.ipynb", broken)
    line = refusal(RunError, rerun.check, book.chapter("90"), {})
    assert line.startswith(f"the check cell of {mini}/book/90_tiny.ipynb fails (")
    assert "\n" not in line


def test_without_papermill_it_says_how_to_get_it(mini, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "papermill", None)
    line = refusal(RunError, rerun.execute, book.chapter("90"), {}, tmp_path / "out")
    assert "papermill is not installed: run make book once" in line
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written(mini, tmp_path):
    (tmp_path / "file").touch()
    for folder, reason in ((tmp_path / "file", "File exists"), (tmp_path / "file" / "in", "Not a directory")):
        line = refusal(RunError, rerun.execute, book.chapter("90"), {}, folder)
        assert line == f"{folder} cannot be written ({reason}): name a folder that can be with -o."


def published(folder, content: bytes, ending: str = ".ipynb") -> str:
    partial = folder / ".part"
    partial.write_bytes(content)
    target = rerun._publish(partial, folder, "x", ending)
    partial.unlink(missing_ok=True)
    assert target.read_bytes() == content
    return target.name


@pytest.mark.parametrize("links", [True, False])
def test_no_run_overwrites_another(tmp_path, monkeypatch, links):
    if not links:  # as on some network and memory-card file systems

        def link(*arguments):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(rerun.os, "link", link)
    assert [published(tmp_path, b"1"), published(tmp_path, b"2"), published(tmp_path, b"3", ".failed.ipynb")] == [
        "x.ipynb",
        "x-2.ipynb",
        "x.failed.ipynb",
    ]
    assert published(tmp_path, b"4", ".failed.ipynb") == "x-2.failed.ipynb"
    assert (tmp_path / "x.ipynb").read_bytes() == b"1"
    assert len(list(tmp_path.iterdir())) == 4


NOTE = "a \"b\" 'c' \\n\n\u2028 {x} é"


def test_a_chapter_is_executed_with_the_readers_parameters(mini):
    """In a folder whose name papermill would read as a pattern, named relative to where the reader is."""
    folder = book.Path("runs {epochs}/deep")
    given = {"rates": "[1e-3, 2]", "shuffle": "false", "note": NOTE}
    target = rerun.execute(book.chapter("90"), given, folder, progress=False)
    assert target == folder / "90_tiny.ipynb"
    assert [path.name for path in folder.iterdir()] == ["90_tiny.ipynb"]
    types = "['int', 'list', 'bool', 'str', 'str', 'float']"
    assert f"{types} 2 [0.001, 2.0] False {NOTE!r}" in outputs(target)
    executed = book.read_notebook(target)
    assert executed["metadata"]["papermill"]["parameters"] == {"rates": [0.001, 2.0], "shuffle": False, "note": NOTE}
    assert [sorted(entry) for entry in book.outputs_metadata(executed)] == [["verdicts"], ["rows", "table"]]
    assert book.read_notebook(mini / "book" / "90_tiny.ipynb") == tiny_chapter()


def test_a_failing_cell_leaves_the_notebook_up_to_it_under_another_name(mini, tmp_path):
    line = refusal(RunError, rerun.execute, book.chapter("90"), {"note": "fail"}, tmp_path / "out", progress=False)
    failed = tmp_path / "out" / "90_tiny.failed.ipynb"
    assert line == f"a cell failed (RuntimeError: first line\nsecond line); see {failed}"
    assert list((tmp_path / "out").iterdir()) == [failed]
    assert "RuntimeError" in failed.read_text()


def test_a_kernel_that_dies_leaves_nothing(mini, tmp_path):
    line = refusal(RunError, rerun.execute, book.chapter("90"), {"note": "die"}, tmp_path / "out", progress=False)
    assert line == "chapter 90 could not be executed (DeadKernelError: Kernel died)."
    assert list((tmp_path / "out").iterdir()) == []


def test_plain_papermill_gives_the_same_answer_in_one_line(mini, tmp_path):
    import papermill

    output = tmp_path / "out.ipynb"
    with pytest.raises(papermill.PapermillExecutionError) as caught:
        papermill.execute_notebook(
            str(mini / "book" / "90_tiny.ipynb"), str(output), parameters={"epoch": 3}, progress_bar=False
        )
    expected = refusal(ParameterError, rerun.check, book.chapter("90"), {"epoch": 3})
    assert (caught.value.ename, caught.value.evalue) == ("ParameterError", expected)
    assert caught.value.traceback == [f"ParameterError: {expected}"]
    work = next(cell for cell in book.read_notebook(output)["cells"] if "time.sleep(wait)" in "".join(cell["source"]))
    assert work["execution_count"] is None


def test_papermill_may_inject_its_paths(mini, tmp_path):
    """By its own command, as ``papermill --inject-paths`` has them; a comparison does not show them."""
    output = tmp_path / "out.ipynb"
    source = mini / "book" / "90_tiny.ipynb"
    command = [Path(sys.executable).with_name("papermill"), "--inject-paths", "--no-progress-bar", source, output]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    given = book.read_notebook(output)["metadata"]["papermill"]["parameters"]
    assert set(given) == {"PAPERMILL_INPUT_PATH", "PAPERMILL_OUTPUT_PATH"}
    write_json(book.executed_folder(mini) / "90_tiny.ipynb", book.read_notebook(output))
    assert comparison.compare(output).parameters.empty


def children(process: int) -> list[int]:
    return [int(word) for of in Path(f"/proc/{process}/task").glob("*/children") for word in of.read_text().split()]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


WAITING = textwrap.dedent("""
    import signal, sys
    from bnlab.commands import cli
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started the tests
    sys.exit(cli.main(["run", "90", "-p", "wait", "60", "--quiet", "-o", sys.argv[1]]))
""")


SLOW = textwrap.dedent("""
    import asyncio
    from nbclient import client, util
    quick = client.NotebookClient._async_cleanup_kernel

    async def slow(self):
        await self.km.shutdown_kernel(now=True)
        await asyncio.sleep(3)  # so long that the cell, given up, notices that its kernel is gone
        await quick(self)

    client.NotebookClient._cleanup_kernel = util.run_sync(slow)
""")


def start_waiting(folder: Path, number: int, before: str = "") -> list[subprocess.Popen]:
    """Start runs that wait in their last cell, and return when all of them do."""
    command = [sys.executable, "-c", before + WAITING, str(folder)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(number)]
    deadline = time.monotonic() + 120
    checked = '"execution_count": 2'  # the check cell
    while sum(checked in partial.read_text() for partial in folder.glob(".*")) < number:
        assert time.monotonic() < deadline, "not all runs began"
        time.sleep(0.1)
    return running


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="looks for processes in /proc")
def test_a_run_that_is_stopped_or_killed_keeps_what_there_is_and_earlier_results(mini, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    earlier = write_json(folder / "90_tiny.ipynb", tiny_chapter())
    whole = earlier.read_bytes()
    endings = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)  # all at once: they share the folder
    running = dict(zip(endings, start_waiting(folder, 3), strict=True))
    deadline = time.monotonic() + 120
    kernels = [kernel for process in running.values() for kernel in children(process.pid)]
    assert len(kernels) == 3
    for ending, process in running.items():
        process.send_signal(ending)
    told = {ending: process.communicate(timeout=60)[1] for ending, process in running.items()}
    assert [process.returncode for process in running.values()] == [130, 130, -signal.SIGKILL]
    kept = {folder / "90_tiny.stopped.ipynb", folder / "90_tiny-2.stopped.ipynb"}
    lines = {f"bnlab: stopped; what was executed is kept in {path}\n" for path in kept}
    assert {told[signal.SIGINT], told[signal.SIGTERM]} == lines
    for path in kept:
        done = [cell["execution_count"] for cell in book.read_notebook(path)["cells"] if cell["cell_type"] == "code"]
        assert done[:2] == [1, 2]
        assert done[-1] is None
    assert earlier.read_bytes() == whole
    (left,) = {*folder.iterdir()} - kept - {earlier}  # what SIGKILL gave no time to remove: hidden, and no result
    assert left.name.startswith(".90_tiny.")
    assert left.name.endswith(".partial.ipynb")
    while any(alive(kernel) for kernel in kernels):
        assert time.monotonic() < deadline, "a kernel goes on"
        time.sleep(0.1)


def test_a_run_that_is_stopped_says_one_line_on_a_slow_machine_too(mini, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (process,) = start_waiting(folder, 1, before=SLOW)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=60)[1]
    assert told == f"bnlab: stopped; what was executed is kept in {folder / '90_tiny.stopped.ipynb'}\n"


@pytest.mark.parametrize("written", ["", "{", '{"cells": [{"cell_type": "code", "execution_count": null}]}'])
def test_a_run_that_is_stopped_at_once_keeps_nothing(mini, tmp_path, monkeypatch, written):
    import papermill

    def stopped(source, target, **more):
        Path(target).write_text(written)
        raise KeyboardInterrupt

    monkeypatch.setattr(papermill, "execute_notebook", stopped)
    with pytest.raises(KeyboardInterrupt, match=r"^stopped; there was nothing to keep yet\.$"):
        rerun.execute(book.chapter("90"), {}, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
