import json
import os
import subprocess
import sys

import pytest
from conftest import displayed, notebook, tiny_chapter, verdict_row, write_json

import bnlab
from bnlab.claims import book
from bnlab.commands import cli
from bnlab.commands import record as recording
from bnlab.commands import run as rerun


@pytest.fixture
def bnlab_command(capsys):
    """Run the command in this process: its exit status, what it wrote to standard output and to standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            status = cli.main(list(arguments))
        except SystemExit as stop:
            status = stop.code
        written = capsys.readouterr()
        return status, written.out, written.err

    return run


@pytest.fixture
def refused(bnlab_command):
    """Run a command that must be refused: status 2, nothing on standard output, one line on standard error."""

    def run(*arguments: str) -> str:
        status, out, err = bnlab_command(*arguments)
        assert (status, out) == (2, "")
        assert err.count("\n") == 1
        assert err.startswith("bnlab")
        return err

    return run


def test_chapters(mini, bnlab_command):
    status, out, _ = bnlab_command("chapters")
    assert status == 0
    assert out.splitlines()[0] == "90  A tiny chapter  (7 s on 2 CPU cores, no GPU needed)"
    assert "      rates: list = [0.1, 1.0]    learning rates tried" in out.splitlines()
    status, out, _ = bnlab_command("chapters", "--json")
    (chapter,) = json.loads(out)
    assert (chapter["chapter"], chapter["title"], chapter["seconds"]) == ("90", "A tiny chapter", 7)
    assert chapter["parameters"][0] == {
        "name": "epochs",
        "type": "int",
        "default": 2,
        "meaning": "passes over the data",
    }


def test_one_chapter_says_what_its_parameters_may_be(mini, bnlab_command, refused):
    status, out, _ = bnlab_command("chapters", "90")
    assert status == 0
    lines = out.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("      epochs: int = 2"))
    assert lines[at + 1] == "          a whole number, at least 1 and at most 100"
    _, out, _ = bnlab_command("chapters", "90", "--json")
    (chapter,) = json.loads(out)
    assert all("may_be" in parameter for parameter in chapter["parameters"])
    assert "chapter '91' is not in the book" in refused("chapters", "91")


def test_chapters_before_their_time_is_recorded(mini, bnlab_command):
    write_json(mini / "book" / "90_tiny.ipynb", notebook(tiny_chapter()["cells"]))
    assert "(time not recorded, no GPU needed)" in bnlab_command("chapters")[1]


def test_ledger_before_a_build(mini, bnlab_command):
    rows = json.loads(bnlab_command("ledger", "--json")[1])
    assert [row["id"] for row in rows] == ["T-Sum", "T-Bound", "T-Trend", "T-Head"]
    assert {row["quick"] for row in rows} == {"not built"}
    assert list(rows[0])[:2] == ["id", "chapter"]
    assert {"id", "chapter", "verdict", "quick", "full"} <= rows[0].keys()
    assert "90  T-Sum        not built" in bnlab_command("ledger")[1]


def test_ledger_after_a_build(built, bnlab_command):
    rows = {row["id"]: row for row in json.loads(bnlab_command("ledger", "--json")[1])}
    assert (rows["T-Sum"]["verdict"], rows["T-Sum"]["quick"]) == ("reproduced", "reproduced")
    assert (rows["T-Head"]["verdict"], rows["T-Head"]["full"]) == ("not run at full scale", "no full-scale run")
    assert (
        "90  T-Trend      partly                 quick: partly; full: no full-scale run" in bnlab_command("ledger")[1]
    )


def test_compare(built, bnlab_command, tmp_path):
    entries = [{"verdicts": [verdict_row("T-Sum", "refuted")]}, {"table": "losses", "rows": {"epoch": [0]}}]
    path = write_json(tmp_path / "mine.ipynb", notebook([displayed(*entries)]))
    status, out, _ = bnlab_command("compare", str(path))
    assert status == 0
    assert "Verdicts that differ:\n" in out
    found = json.loads(bnlab_command("compare", str(path), "--json")[1], parse_constant=pytest.fail)
    assert found["verdicts"][0] == {
        "id": "T-Sum",
        "scale": "quick",
        "book": "reproduced",
        "mine": "refuted",
        "book_measured": "m",
        "mine_measured": "m",
    }


@pytest.fixture
def execute(monkeypatch, mini):
    """Stand in for the execution of a chapter: check the parameters, write what a build would."""
    calls = []

    def stand_in(chapter, given, folder, *, progress):
        values = rerun.check(chapter, given)
        calls.append((values, folder, progress))
        executed = notebook([displayed({"verdicts": [verdict_row("T-Sum", "reproduced", measured="2")]})])
        return write_json(folder / chapter.path.name, executed)

    monkeypatch.setattr(cli.rerun, "execute", stand_in)
    return calls


def test_run(execute, bnlab_command, tmp_path):
    arguments = ("-p", "rates", "[1e-3, 2]", "-p", "shuffle", "no", "-p", "step", "1e-3", "--device", "auto")
    status, out, err = bnlab_command("run", "90", *arguments, "-o", str(tmp_path / "out"))
    assert (status, err) == (0, "")
    values, folder, progress = execute[0]
    assert values == {"rates": [0.001, 2.0], "shuffle": False, "step": 0.001, "device": values["device"]}
    assert values["device"] in ("cpu", "cuda")
    assert (folder, progress) == (tmp_path / "out", True)
    assert out.splitlines() == [f"executed: {folder}/90_tiny.ipynb", "  T-Sum        reproduced             2"]


def test_run_writes_into_runs_and_can_be_quiet(execute, bnlab_command):
    assert bnlab_command("run", "90", "--quiet")[0] == 0
    assert execute == [({}, book.Path("runs"), False)]


@pytest.mark.parametrize("value", ["-1", "-1e-3", "-.5", "-inf", "-nan"])
def test_a_negative_number_is_a_value_not_an_option(mini, refused, value):
    assert f"step = '{value}' cannot be used" in refused("run", "90", "-p", "step", value)


REFUSALS = [
    ([], "arguments are required: command"),
    (["ledgr"], "invalid choice: 'ledgr' (choose from"),
    (["chapters", "--jsn"], "unrecognized arguments: --jsn"),
    (["run"], "arguments are required: chapter"),
    (["run", "90", "a\nb"], "unrecognized arguments: a b"),
    (["run", "90", "-p", "epochs"], "argument -p: expected 2 arguments"),
    (["run", "90", "-p", "epochs=3"], "with a blank between them: -p seeds 5"),
    (["run", "90", "--device", "tpu"], "invalid choice: 'tpu' (choose from 'auto', 'cpu', 'cuda')"),
    (["run", "91"], "chapter '91' is not in the book: its chapters are 90."),
    (["run", ""], "chapter '' is not in the book"),
    (["run", "90", "-p", "epoch", "3"], "unknown parameter epoch: did you mean epochs?"),
    (["run", "90", "-p", "class", "3"], "unknown parameter class: This chapter has epochs,"),
    (["run", "90", "-p", "not a name", "3"], "unknown parameter 'not a name'"),
    (["run", "90", "-p", "a\nb", "3"], r"unknown parameter 'a\nb'"),
    (["run", "90", "-p", "epochs", "1" + "0" * 400], "not finite, or above 1e300"),
    (["run", "90", "-p", "epochs", "9" * 100_000], "characters) cannot be used"),
    (["run", "90", "-p", "epochs", "\n'\"\\"], "epochs = '\\n\\'\"\\\\' cannot be used"),
    (["run", "90", "-p", "rates", "[nan]"], "rates = '[nan]' cannot be used (not finite"),
    (["run", "90", "-p", "rates", "{[]: 1}"], "rates = '{[]: 1}' cannot be used (not a number)"),
    (["run", "90", "-p", "note", ""], "note = '' cannot be used"),
    (["run", "90", "-p", "step", "1", "-p", "step", "2"], "parameter step is given twice: give it once."),
    (["run", "90", "-p", "device", "cpu", "--device", "cpu"], "parameter device is given twice"),
    (["run", "90", "-o", "/dev/null"], "/dev/null cannot be written (File exists): name a folder that can be with -o."),
    (["record", "90"], "chapter 90 has no full-scale run: those with one are"),
    (["record", "x\ny"], "chapter x y has no full-scale run"),
    (["record", "16", "--preset", "nope"], "chapter 16 has no preset 'nope': it has none."),
    (["compare", "nowhere.ipynb"], "nowhere.ipynb does not exist"),
    (["compare", "/dev/null"], "/dev/null is not a readable notebook"),
    (["compare", "/"], "/ is not a readable notebook (IsADirectoryError)"),
]


@pytest.mark.parametrize(("arguments", "line"), REFUSALS, ids=lambda value: str(value)[:40])
def test_bad_input_is_answered_in_one_line(mini, tmp_path, refused, arguments, line):
    assert line in refused(*arguments)
    assert list((tmp_path / "work").iterdir()) == []


def test_a_cuda_that_is_not_there(mini, refused, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for arguments in (["--device", "cuda"], ["-p", "device", "cuda"]):
        assert "device = 'cuda' cannot be used (this machine's torch sees no CUDA device)" in refused(
            "run", "90", *arguments
        )


def test_files_that_are_broken_are_named(built, refused):
    (built / "book" / "claims.yml").write_text("- {id: T-1}")
    assert "claims.yml: 'T-1' is not a claim" in refused("ledger")
    (book.executed_folder(built) / "90_tiny.ipynb").write_text('{"cells": [')
    assert "90_tiny.ipynb is not a readable notebook" in refused("ledger", "--json")
    (built / "book" / "90_tiny.ipynb").write_text("")
    for arguments in (["chapters"], ["run", "90"]):
        assert "90_tiny.ipynb is not a readable notebook" in refused(*arguments)


def test_installed_without_the_book(refused, tmp_path, monkeypatch):
    monkeypatch.delenv("BNLAB_BOOK", raising=False)
    monkeypatch.setattr(book, "__file__", str(tmp_path / "site-packages" / "bnlab" / "book.py"))
    monkeypatch.chdir(tmp_path)
    for arguments in (["run", "04"], ["chapters"], ["ledger"], ["record", "16"], ["compare", "x.ipynb"]):
        line = refused(*arguments)
        assert "get the project's source" in line or "x.ipynb does not exist" in line


@pytest.fixture
def record(monkeypatch):
    """Stand in for a recording: what it was called with."""
    calls = []
    monkeypatch.setattr(
        recording, "record", lambda *given, **more: calls.append((given, more)) or more["folder"] / "16"
    )
    return calls


def test_record(mini, record, bnlab_command):
    status, out, _ = bnlab_command("record", "16", "-p", "size", "10", "--device", "cpu", "--data-root", "x")
    folder = mini / "data" / "recorded"
    switches = {"dirty": False, "replace": False}
    expected = {"preset": "paper", "device": "cpu", "data_root": book.Path("x"), "folder": folder}
    assert record == [(("16", {"size": "10"}), expected | switches | {"again": None, "scheduler": ""})]
    assert (status, out) == (0, f"recorded: {folder / '16'}\n")
    for switch in switches:
        bnlab_command("record", "16", f"--{switch}")
        assert {name: value for name, value in record[-1][1].items() if value is True} == {switch: True}
    for parts in ([], ["held"], ["held", "arms"]):
        bnlab_command("record", "06", "--force", *parts)
        assert record[-1][1]["again"] == parts
    bnlab_command("record", "06", "--scheduler", "tcp://head:8786")
    assert record[-1][1]["scheduler"] == "tcp://head:8786"


@pytest.mark.parametrize(
    ("arguments", "device"), [([], "auto"), (["-p", "device", "cuda"], "cuda"), (["--device", "cuda"], "cuda")]
)
def test_record_takes_its_device_as_run_does(mini, record, bnlab_command, arguments, device):
    bnlab_command("record", "16", *arguments, "-o", "here")
    (((_, given), more),) = record
    assert given == {}
    assert more["device"] == device
    assert more["folder"] == book.Path("here")


def test_ctrl_c_is_answered(mini, bnlab_command, monkeypatch):
    def interrupted(*arguments, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(rerun, "execute", interrupted)
    assert bnlab_command("run", "90") == (130, "", "bnlab: stopped; what was finished is kept.\n")

    def interrupted_run(*arguments, **more):
        raise KeyboardInterrupt("stopped; what was executed is kept in x.stopped.ipynb")

    monkeypatch.setattr(rerun, "execute", interrupted_run)
    assert bnlab_command("run", "90")[2] == "bnlab: stopped; what was executed is kept in x.stopped.ipynb\n"


def test_version(bnlab_command):
    assert bnlab_command("--version") == (0, f"bnlab {bnlab.__version__}\n", "")


@pytest.mark.parametrize("command", ["", "chapters", "run", "record", "compare", "ledger"])
def test_help(bnlab_command, command):
    status, out, err = bnlab_command(*[command][: bool(command)], "--help")
    assert (status, err) == (0, "")
    assert out.startswith("usage: bnlab")


def test_a_reader_that_stops_reading_is_no_error(mini):
    rows = [{"document": "D", "place": "P", "kind": "I", "statement": "s", "criterion": "c", "chapter": "90"}] * 300
    claims = "\n".join(f"- {json.dumps(row | {'id': f'T-{n}'})}" for n, row in enumerate(rows))
    (mini / "book" / "claims.yml").write_text(claims)
    for arguments in (["ledger"], ["chapters"]):
        command = [sys.executable, "-m", "bnlab.commands.cli", *arguments]
        buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        with subprocess.Popen(command, env=buffered, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 0


def test_the_command_runs_from_a_terminal(mini, tmp_path):
    command = [os.path.join(os.path.dirname(sys.executable), "bnlab"), "run", "90", "-p", "epochs", "\udcff"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("bnlab: epochs = '\\udcff' cannot be used (not a number)")
    assert done.stderr.count("\n") == 1


def answer(arguments: str, **environment: str) -> tuple[int, str]:
    """Run the command in a shell, where its output can be sent anywhere: its exit status, and what it says of it."""
    command = f"{sys.executable} -m bnlab.commands.cli {arguments}"
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})
    return done.returncode, done.stderr


FULL = "bnlab: standard output cannot be written (No space left on device).\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize("arguments", ["ledger", "ledger --json", "chapters", "chapters --json", "compare mine.ipynb"])
def test_output_that_cannot_be_written_is_told_in_one_line(built, tmp_path, arguments, buffered):
    entries = [{"verdicts": [verdict_row("T-Sum", "refuted")]}]
    write_json(tmp_path / "work" / "mine.ipynb", notebook([displayed(*entries)]))
    assert answer(f"{arguments} >/dev/full", PYTHONUNBUFFERED=buffered) == (2, FULL)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_nobody_need_be_there_to_read(built):
    assert answer("ledger >/dev/full 2>/dev/full") == (2, "")
    assert answer("ledger >&-") == (0, "")
    assert answer("--help >/dev/full", PYTHONUNBUFFERED="") == (2, FULL)
