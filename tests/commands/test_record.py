import errno
import inspect
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from bnlab.commands import parts as recording_parts
from bnlab.commands import presets
from bnlab.commands import record as recording
from bnlab.commands.parameters import ParameterError
from bnlab.commands.presets import RecordingError
from bnlab.records import experiments, files, keys, provenance, recorded
from bnlab.sweeps import sweep as sweeps

CALLS = []


def parts(
    steps: int = 3,
    rates: Sequence[float] = (0.1, 1.0),
    sizes: "Sequence[int]" = (2,),
    norm: str = "batch",
    shuffle: bool = True,
    device: str = "cpu",
):
    if steps > 100:
        raise ValueError(f"steps = {steps}: at most 100")

    def losses() -> pd.DataFrame:
        CALLS.append("losses")
        if norm == "broken":
            raise ValueError("a mistake after hours")
        frame = pd.DataFrame({"step": range(steps), "loss": [0.1 / 3**n for n in range(steps)]})
        frame.attrs["units"] = {"step": "steps", "loss": "1"}
        return frame

    def facts() -> pd.DataFrame:
        CALLS.append("facts")
        if norm == "interrupted" and CALLS.count("facts") == 1:
            raise KeyboardInterrupt
        return pd.DataFrame({"rate": rates, "device": [device] * len(rates), "shuffle": shuffle})

    return {"losses": losses, "facts": facts}


def one_run(point):
    return pd.DataFrame({"loss": [1.0]})


def with_data(dataset, steps: int = 1, device: str = "cpu"):
    return {"counts": lambda: pd.DataFrame({"images": [len(dataset.train_labels)], "steps": [steps]})}


def with_two(dataset, other_dataset: "Dataset | None" = None):  # noqa: F821
    taken = [len(each.classes) for each in (dataset, other_dataset or dataset)]
    return {"counts": lambda: pd.DataFrame({"classes": taken})}


@pytest.fixture
def house(mini, monkeypatch):
    """Give the miniature book's chapter 90 an experiment and a preset."""
    for name, function in (("fake", parts), ("fake_data", with_data), ("fake_two", with_two)):
        module = ModuleType(f"bnlab.chapters.{name}")
        module.parts = function
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(experiments, "EXPERIMENTS", {"90": "fake", "91": "fake_data", "92": "fake_two"})
    monkeypatch.setattr(keys.Sources, "of", classmethod(lambda cls, *names: cls(names, dict.fromkeys(names, "a"), {})))
    monkeypatch.setattr(provenance, "commit", lambda: "0123456789abcdef")
    preset(mini, "steps: 5\nrates: [1e-3, 2]\n")
    preset(mini, "dataset: digits\n", number="91")
    preset(mini, "dataset: digits\n", number="92")
    CALLS.clear()
    return mini


def own(folder: Path, number: str = "90") -> recorded.Recorded:
    """Read the one recording of scale own."""
    (path,) = (folder / "own").glob(f"{number}-*")
    return recorded.read(path)


def preset(root, text: str, name: str = "paper", number: str = "90") -> None:
    path = root / "book" / "presets" / name / f"{number}.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def refusal(kind, function, *arguments, **more) -> str:
    with pytest.raises(kind) as caught:
        function(*arguments, **more)
    return str(caught.value)


def test_a_recording_is_kept_with_its_provenance(house, tmp_path, capsys):
    preset(house, "steps: 5\nrates: [1e-3, 2]\nnorm: none\nshuffle: false\n")
    target = recording.record("90", {}, folder=tmp_path / "out")
    assert target == tmp_path / "out" / "90"
    result = recorded.load(tmp_path / "out", "90")
    facts = result.provenance
    assert facts["parameters"] == {"steps": 5, "rates": [0.001, 2.0], "sizes": [2], "norm": "none", "shuffle": False}
    assert facts["data"] is None
    assert facts["scale"] == "full"
    assert facts["sources"] == {"bnlab.chapters.fake": "a"}
    assert facts["arithmetic"]["device"] == "cpu"
    assert not facts["arithmetic"]["tf32"]
    assert facts["commit"] == "0123456789abcdef"
    assert set(facts["part_seconds"]) == {"losses", "facts"}
    assert list(result.tables) == ["losses", "facts"]
    assert list(result.tables["facts"]["rate"]) == [0.001, 2.0]
    assert not result.tables["facts"]["shuffle"].any()
    assert result.tables["losses"].attrs["units"] == {"step": "steps", "loss": "1"}
    assert [path.name for path in (tmp_path / "out" / ".partial").iterdir()] == ["90.lock"]
    shown = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in shown] == ["  1/2 losses", "  2/2 facts"]


def test_the_same_recording_is_not_repeated_unless_forced(house, tmp_path, capsys):
    recording.record("90", {}, folder=tmp_path)
    CALLS.clear()
    before = {path: path.read_bytes() for path in (tmp_path / "90").iterdir()}
    recording.record("90", {}, folder=tmp_path)
    assert CALLS == []
    assert "already recorded" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in (tmp_path / "90").iterdir()} == before
    recording.record("90", {}, folder=tmp_path, again=[])
    assert CALLS == ["losses", "facts"]


@pytest.mark.parametrize("change", [{"steps": "4"}, {"norm": "none"}])
def test_other_parameters_are_another_recording_which_goes_beside(house, tmp_path, change):
    recording.record("90", {}, folder=tmp_path)
    CALLS.clear()
    before = {path: path.read_bytes() for path in (tmp_path / "90").iterdir()}
    target = recording.record("90", change, folder=tmp_path)
    assert CALLS == ["losses", "facts"]
    assert target.parent == tmp_path / "own"
    assert recorded.read(target).provenance["scale"] == "own"
    assert {path: path.read_bytes() for path in (tmp_path / "90").iterdir()} == before


SCALE = "steps: 5\nrates: [1e-3, 2]\nfull_scale:\n  steps: at least 5\n  rates: [2]\n  norm: batch\n"


@pytest.mark.parametrize(
    ("given", "scale"),
    [
        ({}, "full"),
        ({"steps": "9"}, "full"),
        ({"steps": "4"}, "own"),
        ({"rates": "[2, 7]"}, "full"),
        ({"rates": "[7]"}, "own"),
        ({"norm": "none"}, "own"),
        ({"shuffle": "no"}, "full"),
    ],
)
def test_what_counts_as_full_scale_is_declared_in_the_preset(house, given, scale):
    preset(house, SCALE)
    wanted = presets.read_preset("90", "paper")
    assert presets.scale_of(parts, presets.choose(parts, {**wanted.values, **given}), wanted) == scale


@pytest.mark.parametrize(
    ("declared", "words"),
    [("{stepz: 5}", "names stepz"), ("{steps: many}", "steps = 'many' cannot"), ("[1]", "must be a mapping")],
)
def test_a_declaration_that_says_nothing_is_refused(house, tmp_path, declared, words):
    preset(house, f"steps: 5\nfull_scale: {declared}\n")
    assert words in refusal((RecordingError, ParameterError), recording.record, "90", {}, folder=tmp_path)


def test_the_books_recording_is_not_replaced_unasked(house, tmp_path):
    preset(house, SCALE)
    recording.record("90", {}, folder=tmp_path)
    line = refusal(RecordingError, recording.record, "90", {"steps": "9"}, folder=tmp_path)
    assert "holds a recording with other parameters: say --replace" in line
    assert len(recorded.load(tmp_path, "90").tables["losses"]) == 5
    recording.record("90", {"steps": "9"}, folder=tmp_path, replace=True)
    assert len(recorded.load(tmp_path, "90").tables["losses"]) == 9
    recording.record("90", {}, folder=tmp_path)  # what the preset itself says needs no word
    assert len(recorded.load(tmp_path, "90").tables["losses"]) == 5


def another_library(monkeypatch, value="b"):
    changed = classmethod(lambda cls, *names: cls(names, dict.fromkeys(names, value), {}))
    monkeypatch.setattr(keys.Sources, "of", changed)


def test_another_library_is_another_recording(house, tmp_path, monkeypatch):
    recording.record("90", {}, folder=tmp_path)
    CALLS.clear()
    another_library(monkeypatch)
    recording.record("90", {}, folder=tmp_path)
    assert CALLS == ["losses", "facts"]


def with_another(**given):
    return parts(**given) | {"more": lambda: pd.DataFrame({"x": [1]})}


with_another.__signature__ = inspect.signature(parts)


def test_a_change_that_is_explained_is_no_other_recording(house, tmp_path, monkeypatch, capsys):
    another_library(monkeypatch, "a" * 64)
    recording.record("90", {}, folder=tmp_path)
    CALLS.clear()
    another_library(monkeypatch, "b" * 64)
    change = f"bnlab.chapters.fake {'a' * 12} -> bnlab.chapters.fake {'b' * 12}"
    (tmp_path / "changes.yml").write_text(f"- why: moved\n  checked: bit for bit\n  changes: {{'90': '{change}'}}\n")
    recording.record("90", {}, folder=tmp_path)
    assert CALLS == []
    assert "already recorded" in capsys.readouterr().out
    monkeypatch.setattr(sys.modules["bnlab.chapters.fake"], "parts", with_another)
    with monkeypatch.context() as elsewhere:  # no number moved, but a table is not there
        elsewhere.setattr(provenance, "commit", lambda: "fedcba9876543210")
        recording.record("90", {}, folder=tmp_path)
    assert CALLS == []
    result = recorded.read(tmp_path / "90")
    assert list(result.tables) == ["losses", "facts", "more"]
    facts = result.provenance
    assert facts["commit"] == "fedcba9876543210"
    assert facts["part_commits"] == dict.fromkeys(["losses", "facts"], "0123456789abcdef")
    assert set(facts["part_seconds"]) == {"losses", "facts", "more"}
    assert result.tables["losses"].attrs["units"] == {"step": "steps", "loss": "1"}


def test_parts_are_made_again_by_name_and_the_others_stay(house, tmp_path, monkeypatch, capsys):
    recording.record("90", {}, folder=tmp_path)
    kept = {path.name: path.read_bytes() for path in (tmp_path / "90").glob("*.csv.gz")}
    capsys.readouterr()
    for commit in ("fedcba9876543210", "1111111111111111"):  # and so again, from the second to the third
        CALLS.clear()
        monkeypatch.setattr(provenance, "commit", lambda commit=commit: commit)
        recording.record("90", {}, folder=tmp_path, again=["facts"])
        assert CALLS == ["facts"]
        facts = recorded.read(tmp_path / "90").provenance
        assert (facts["commit"], facts["part_commits"]) == (commit, {"losses": "0123456789abcdef"})
    assert {path.name: path.read_bytes() for path in (tmp_path / "90").glob("*.csv.gz")} == kept
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "  1/2 losses: as recorded before"
    assert shown[1].startswith("  2/2 facts: 0.")
    CALLS.clear()
    line = refusal(RecordingError, recording.record, "90", {}, folder=tmp_path, again=["facts", "fact"])
    assert line == "chapter 90 has no part 'fact': losses, facts."
    assert CALLS == []


@pytest.mark.parametrize("name", ["cpu", "device", "versions"])
def test_on_another_machine_everything_is_made_again(house, tmp_path, monkeypatch, name):
    recording.record("90", {}, folder=tmp_path)
    CALLS.clear()
    here = provenance.machine("cpu")
    other = {"versions": {**here["versions"], "numpy": "1.0"}, "device": "another", "cpu": "another"}
    monkeypatch.setattr(provenance, "machine", lambda device: here | {name: other[name]})
    before = {path: path.read_bytes() for path in (tmp_path / "90").iterdir()}
    line = refusal(RecordingError, recording.record, "90", {}, folder=tmp_path, again=["facts"])
    assert line.startswith("chapter 90: nothing is recorded that could stay beside facts, with these parameters")
    assert CALLS == []
    assert {path: path.read_bytes() for path in (tmp_path / "90").iterdir()} == before
    monkeypatch.setattr(sys.modules["bnlab.chapters.fake"], "parts", with_another)
    recording.record("90", {}, folder=tmp_path)
    assert CALLS == ["losses", "facts"]
    assert "part_commits" not in recorded.read(tmp_path / "90").provenance


def test_parts_named_where_nothing_can_stay_are_refused_and_all_of_them_are_made(house, tmp_path, monkeypatch):
    assert "nothing is recorded" in refusal(
        RecordingError, recording.record, "90", {}, folder=tmp_path, again=["facts"]
    )
    recording.record("90", {}, folder=tmp_path, again=["facts", "losses"])
    assert CALLS == ["losses", "facts"]
    CALLS.clear()
    another_library(monkeypatch)
    assert "nothing is recorded" in refusal(
        RecordingError, recording.record, "90", {}, folder=tmp_path, again=["facts"]
    )
    assert CALLS == []


def test_a_library_that_is_not_committed_is_refused_unless_said(house, tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "commit", lambda: "0123456789abcdef+")
    line = refusal(RecordingError, recording.record, "90", {}, folder=tmp_path / "out")
    assert line == "the library was changed since its last commit: commit it, or say --dirty."
    assert CALLS == []
    assert not (tmp_path / "out").exists()
    recording.record("90", {}, folder=tmp_path, dirty=True)
    assert recorded.load(tmp_path, "90").provenance["commit"] == "0123456789abcdef+"


def test_a_part_made_while_the_source_changed_is_not_kept(house, tmp_path, monkeypatch):
    monkeypatch.setattr(keys.Sources, "changed", lambda self: ["bnlab.theory.modes"] if "facts" in CALLS else [])
    line = refusal(RecordingError, recording.record, "90", {}, folder=tmp_path)
    assert line == "bnlab.theory.modes changed while part facts was made, which is not kept: run it again."
    assert recorded.load(tmp_path, "90") is None
    monkeypatch.setattr(keys.Sources, "changed", lambda self: [])
    recording.record("90", {}, folder=tmp_path)
    assert CALLS == ["losses", "facts", "facts"]


def test_a_key_is_settled_before_any_work(house, tmp_path, monkeypatch):
    """The library that is hashed is the one that was there at the start, whatever lies there at the end."""
    changes = iter([{"bnlab.chapters.fake": "start"}])
    monkeypatch.setattr(keys.Sources, "of", classmethod(lambda cls, *names: cls(names, next(changes), {})))
    recording.record("90", {}, folder=tmp_path)
    assert recorded.load(tmp_path, "90").provenance["sources"] == {"bnlab.chapters.fake": "start"}


def test_failed_runs_are_never_part_of_a_recording(house, tmp_path, monkeypatch):
    def with_failures(device: str = "cpu"):
        def runs():
            CALLS.append("runs")
            bad = CALLS.count("runs") == 1
            frame = pd.DataFrame(
                {"norm": ["a", "b"], "seed": [0, 3], "status": ["ok", "failed: no memory" if bad else "ok"]}
            )
            return frame.assign(loss=1.0)

        return {"first": parts()["losses"], "runs": runs}

    monkeypatch.setattr(sys.modules["bnlab.chapters.fake"], "parts", with_failures)
    preset(house, "{}")
    line = refusal(RecordingError, recording.record, "90", {}, folder=tmp_path)
    assert line.startswith("part runs: 1 of the runs failed: (norm = b, seed = 3); the first failed: no memory.")
    assert recorded.load(tmp_path, "90") is None
    recording.record("90", {}, folder=tmp_path)
    assert CALLS == ["losses", "runs", "runs"]


def test_an_error_nobody_expected_leaves_its_traceback(house, tmp_path):
    """A refusal before work is one line; a mistake after hours must be found."""
    with pytest.raises(ValueError, match="a mistake after hours") as error:
        recording.record("90", {"norm": "broken"}, folder=tmp_path)
    assert "This was part losses" in error.value.__notes__[0]
    line = refusal(RecordingError, recording.record, "90", {"steps": "101"}, folder=tmp_path)
    assert line == "chapter 90: steps = 101: at most 100"


def test_two_recordings_at_once_lose_nothing(house, tmp_path, monkeypatch):
    """The second says so in one line, before any work."""
    inside = []

    def impatient(device: str = "cpu"):
        def slow():
            if not inside:
                inside.append(refusal(RecordingError, recording.record, "90", {}, folder=tmp_path))
            return pd.DataFrame({"x": [1]})

        return {"slow": slow}

    monkeypatch.setattr(sys.modules["bnlab.chapters.fake"], "parts", impatient)
    preset(house, "{}")
    recording.record("90", {}, folder=tmp_path)
    assert inside[0].startswith("chapter 90 is being recorded by another process (")
    assert len(recorded.load(tmp_path, "90").tables) == 1


def test_an_unreadable_result_is_not_taken_for_damaged(house, tmp_path):
    recording.record("90", {}, folder=tmp_path)
    place = tmp_path / "90" / "provenance.json"
    place.rename(tmp_path / "aside")
    place.mkdir()  # as good as forbidden, and so for root too
    line = refusal(RecordingError, recording.record, "90", {}, folder=tmp_path)
    assert "provenance.json cannot be read (Is a directory): make it readable, or move it away." in line


def test_a_recording_goes_on_when_nobody_can_read_it(house, tmp_path, monkeypatch):
    class Full:
        def write(self, text):
            raise OSError(28, "No space left on device")

        def flush(self):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    recording.record("90", {}, folder=tmp_path)
    assert recorded.load(tmp_path, "90")


def full_disk(monkeypatch, when=lambda: True):
    """Let the disk be full whenever ``when()``: what is written then does not reach it."""
    fsync = os.fsync

    def full(descriptor):
        if when():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(files.os, "fsync", full)


def everything(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"}


def test_a_disk_that_is_full_loses_nothing_and_is_told_in_one_line(house, tmp_path, monkeypatch):
    out = tmp_path / "out"
    recording.record("90", {}, folder=out)
    CALLS.clear()
    before = everything(out)
    with monkeypatch.context() as patch:
        full_disk(patch, lambda: "facts" in CALLS)
        line = refusal(RecordingError, recording.record, "90", {}, folder=out, again=[])
    assert "cannot be written (No space left on device): name a folder that can be." in line
    assert everything(out).items() >= before.items()
    parts_kept = {path.name for path in everything(out).keys() - before.keys()}
    assert parts_kept == {"losses.csv.gz", "losses.json"}  # the part before it, and no hidden file
    recording.record("90", {}, folder=out, again=[])
    assert CALLS == ["losses", "facts", "facts"]


def test_a_disk_that_is_full_at_the_end_loses_nothing(house, tmp_path, monkeypatch):
    out = tmp_path / "out"
    recording.record("90", {}, folder=out)
    before = everything(out / "90")
    with monkeypatch.context() as patch:
        whole, saved = recorded.save, []
        patch.setattr(recorded, "save", lambda *content: (saved.append("begun"), whole(*content)))
        full_disk(patch, lambda: saved and (saved.append("table") or len(saved) > 2))  # from its second file on
        line = refusal(recorded.RecordedError, recording.record, "90", {}, folder=out, again=[])
    assert line == f"{out / '90'} cannot be written (No space left on device): name a folder that can be."
    assert everything(out / "90").items() >= before.items()
    assert not list((out / "90").glob(".*"))
    assert len(recorded.load(out, "90").tables["losses"]) == 5


def test_runs_that_cannot_be_kept_are_told_in_one_line(house, tmp_path, monkeypatch):
    def swept(folder=None):
        return {"runs": lambda: sweeps.sweep(sweeps.grid(seed=[0, 1]), one_run, folder=folder, progress=False)}

    monkeypatch.setattr(sys.modules["bnlab.chapters.fake"], "parts", swept)
    preset(house, "{}")
    with monkeypatch.context() as patch:
        full_disk(patch)
        line = refusal(RecordingError, recording.record, "90", {}, folder=tmp_path)
    runs = tmp_path / ".partial" / "runs"
    assert line == f"part runs: {runs} cannot be written (No space left on device): name a folder that can be."
    assert list(runs.iterdir()) == []


def test_the_data_are_loaded_onto_the_device(house, tmp_path, monkeypatch):
    """A data set knows its device: an experiment beside it is told none, and the provenance names what computed."""
    import torch

    from bnlab import datasets

    places, load = [], datasets.load
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    monkeypatch.setattr(datasets, "load", lambda *a, device, **k: (places.append(device), load(*a, **k))[1])
    recording.record("91", {}, device="cuda", folder=tmp_path)
    assert places == ["cuda"]
    facts = recorded.load(tmp_path, "91").provenance
    assert facts["device"] == "a GPU"
    assert facts["arithmetic"]["device"] == "cuda"
    assert facts["arithmetic"]["deterministic"]
    assert not facts["arithmetic"]["tf32"]
    cpu = recording.record("91", {}, device="cpu", folder=tmp_path / "other")
    assert recorded.read(cpu).provenance["key"] != facts["key"]


def test_an_interrupted_recording_goes_on_to_the_same_bytes(house, tmp_path, capsys):
    given = {"norm": "interrupted"}
    with pytest.raises(KeyboardInterrupt):
        recording.record("90", given, folder=tmp_path / "a")
    recording.record("90", given, folder=tmp_path / "a")
    assert CALLS == ["losses", "facts", "facts"]
    assert "1/2 losses: kept from before" in capsys.readouterr().out
    recording.record("90", given, folder=tmp_path / "b")
    tables = [{path.name: path.read_bytes() for path in (tmp_path / x).glob("own/90-*/*.csv.gz")} for x in "ab"]
    assert tables[0] == tables[1]
    assert len(tables[0]) == 2
    assert own(tmp_path / "a").tables["losses"].attrs["units"]["loss"] == "1"
    assert own(tmp_path / "a").provenance["seconds"] >= 0


@pytest.mark.parametrize("damage", ["table", "facts", "both"])
def test_a_damaged_part_is_made_again(house, tmp_path, damage):
    kept = tmp_path / "kept"
    made = recording_parts.finish(parts(), kept)
    CALLS.clear()
    if damage != "facts":
        (kept / "losses.csv.gz").write_bytes(b"cut")
    if damage != "table":
        (kept / "losses.json").write_text('{"checksum": 3}')
    again = recording_parts.finish(parts(), kept)
    assert CALLS == ["losses"]
    assert {name: part.content for name, part in again.items()} == {name: part.content for name, part in made.items()}


def test_a_part_kept_without_its_facts_does_not_count(house, tmp_path):
    recording_parts.finish(parts(), tmp_path / "kept")  # killed between the two files
    (tmp_path / "kept" / "losses.json").unlink()
    CALLS.clear()
    recording_parts.finish(parts(), tmp_path / "kept")
    assert CALLS == ["losses"]


def test_seconds_of_earlier_attempts_count(tmp_path):
    first = recording_parts.finish(parts(), tmp_path)
    assert {name: part.seconds for name, part in recording_parts.finish(parts(), tmp_path).items()} == {
        name: part.seconds for name, part in first.items()
    }


def test_a_damaged_result_is_recorded_again_as_its_remedy_says(house, tmp_path, capsys):
    recording.record("90", {}, folder=tmp_path)
    next((tmp_path / "90").glob("losses.*")).write_bytes(b"")
    assert "record again: bnlab record 90" in refusal(recorded.RecordedError, recorded.load, tmp_path, "90")
    recording.record("90", {}, folder=tmp_path)
    assert len(recorded.load(tmp_path, "90").tables["losses"]) == 5
    assert "damaged, it is recorded again" in capsys.readouterr().out


def test_a_process_killed_while_recording_resumes_to_the_same_bytes(tmp_path):
    program = """
    import signal, sys, time
    from pathlib import Path
    import pandas as pd
    from bnlab.commands import parts
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin without it
    def make(name):
        def table():
            print("in", name, flush=True)
            time.sleep(float(sys.argv[2]) if name == "b" else 0)
            return pd.DataFrame({"name": [name], "x": [1 / 3]})
        return table
    parts.finish({name: make(name) for name in "abc"}, Path(sys.argv[1]))
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    for ending in (signal.SIGKILL, signal.SIGINT):
        folder = tmp_path / ending.name
        with subprocess.Popen(
            [*command, str(folder), "60"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            while process.stdout.readline() != "in b\n":
                pass
            process.send_signal(ending)
        assert sorted(path.name for path in folder.iterdir()) == ["a.csv.gz", "a.json"]
    for folder in (tmp_path / "SIGKILL", tmp_path / "fresh"):
        done = subprocess.run([*command, str(folder), "0"], capture_output=True, text=True, check=True)
        assert ("in a" in done.stdout) == (folder.name == "fresh")
    resumed, fresh = (
        {path.name: path.read_bytes() for path in (tmp_path / name).glob("*.csv.gz")} for name in ("SIGKILL", "fresh")
    )
    assert resumed == fresh
    assert len(fresh) == 3


TOY = """
import os, time
from pathlib import Path
import pandas as pd
from bnlab.sweeps import sweep as sweeps

def endless(point):
    Path(point["place"], f"worker.{os.getpid()}").touch()
    time.sleep(600 * (point["seed"] > 0))
    return pd.DataFrame({"loss": [1.0]})

def parts(place: str, folder=None):
    points = sweeps.grid(seed=list(range(9)), place=[place])
    return {
        "first": lambda: pd.DataFrame({"x": [1 / 3]}),
        "runs": lambda: sweeps.sweep(points, endless, folder=folder),
    }
"""
STOPPED = """
import signal, sys
import toy
from bnlab.commands import cli
from bnlab.records import experiments, keys, provenance
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started the tests
    sys.modules["bnlab.chapters.toy"] = toy
    experiments.EXPERIMENTS = {"90": "toy"}
    keys.Sources.of = classmethod(lambda cls, *names: cls(names, dict.fromkeys(names, "a"), {}))
    provenance.commit = lambda: "0123456789abcdef"
    sys.exit(cli.main(["record", "90", "-o", sys.argv[1]]))
"""


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="looks for processes in /proc")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_recording_told_to_stop_keeps_what_is_finished_and_leaves_no_process(mini, tmp_path, ending):
    (tmp_path / "toy.py").write_text(TOY)
    (tmp_path / "stopped.py").write_text(STOPPED)
    preset(mini, f"place: {tmp_path}\n")
    out = tmp_path / "out"
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "stopped.py"), str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    deadline = time.monotonic() + 120
    runs = out / ".partial" / "runs"
    while not (list(runs.glob("*.csv.gz")) and list(tmp_path.glob("worker.*"))):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "no run was finished"
        time.sleep(0.05)
    process.send_signal(ending)  # to the parent alone, as a batch system does
    said, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.splitlines()[0].startswith("  1/2 first: ")
    assert told.endswith("bnlab: stopped; what was finished is kept.\n")
    assert "Traceback" not in told
    (kept,) = (path for path in (out / ".partial").glob("90-*"))
    assert sorted(path.name for path in kept.iterdir()) == ["first.csv.gz", "first.json"]
    assert [path.suffix for path in runs.iterdir()] == [".gz"]
    assert not list(out.rglob(".*.part"))
    workers = [int(path.suffix[1:]) for path in tmp_path.glob("worker.*")]
    assert not [worker for worker in workers if Path(f"/proc/{worker}").exists()]


def test_a_chapter_that_records_nothing(house, tmp_path):
    assert refusal(RecordingError, recording.record, "7", {}, folder=tmp_path) == (
        "chapter 7 has no full-scale run: those with one are 90, 91, 92."
    )


@pytest.mark.parametrize("name", ["papr", "..", "", "../paper", "paper/"])
def test_a_preset_that_is_not_there(house, name):
    assert refusal(RecordingError, presets.read_preset, "90", name) == (
        f"chapter 90 has no preset {name!r}: it has paper."
    )


def test_presets_of_a_chapter_are_listed(house):
    preset(house, "", name="wide")
    assert "it has paper, wide." in refusal(RecordingError, presets.read_preset, "90", "x")
    assert "it has none." in refusal(RecordingError, presets.read_preset, "93", "paper")


@pytest.mark.parametrize("text", ["", "- a", "words", "a: [", "? [a]\n: b", "[" * 5000, "\0", "- !!bool x"])
def test_a_preset_that_is_no_mapping(house, text):
    preset(house, text)
    line = refusal(RecordingError, presets.read_preset, "90", "paper")
    assert "paper/90.yml" in line
    assert "\n" not in line


def test_a_preset_that_is_no_text(house):
    (house / "book" / "presets" / "paper" / "90.yml").write_bytes(b"\xff\xfe")
    assert "cannot be read" in refusal(RecordingError, presets.read_preset, "90", "paper")


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"step": "3"}, "unknown parameter step: did you mean steps? The experiment has steps, rates, sizes,"),
        ({"class": "3"}, "unknown parameter class: The experiment has"),
        ({"steps": "2.5"}, "steps = '2.5' cannot be used (not a whole number)"),
        ({"steps": "nan"}, "steps = 'nan' cannot be used (not finite"),
        ({"rates": "[a]"}, "rates = '[a]' cannot be used (not a number)"),
        ({"sizes": "[1.5]"}, "sizes = '[1.5]' cannot be used (not a whole number)"),
        ({"shuffle": "perhaps"}, "shuffle = 'perhaps' cannot be used (neither true nor false)"),
        ({"norm": ""}, "norm = '' cannot be used"),
        ({"size": "3"}, "unknown parameter size: did you mean sizes?"),
    ],
)
def test_parameters_are_refused_before_anything_runs(house, tmp_path, given, line):
    assert refusal(ParameterError, recording.record, "90", given, folder=tmp_path / "out").startswith(line)
    assert CALLS == []
    assert not (tmp_path / "out").exists()


def test_a_preset_is_checked_like_a_command_line(house, tmp_path):
    preset(house, "steps: many\n")
    assert "steps = 'many' cannot be used" in refusal(ParameterError, recording.record, "90", {}, folder=tmp_path)


def test_an_argument_without_default_needs_a_value():
    assert "parameter dataset has no value: give it in the preset or with -p" in refusal(
        ParameterError, presets.choose, with_data, {}
    )


def test_a_device_that_is_not_there_is_refused(house, tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    line = refusal(ParameterError, recording.record, "90", {}, device="cuda", folder=tmp_path / "out")
    assert "device = 'cuda' cannot be used (this machine's torch sees no CUDA device)" in line
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_found_before_anything_runs(house, tmp_path):
    (tmp_path / "file").touch()
    line = refusal(RecordingError, recording.record, "90", {}, folder=tmp_path / "file")
    assert "cannot be written (Not a directory): name a folder that can be." in line
    assert CALLS == []


def test_data_are_named_with_their_checksum(house, tmp_path):
    pytest.importorskip("sklearn")
    recording.record("91", {}, folder=tmp_path)
    result = recorded.load(tmp_path, "91")
    assert result.provenance["data"]["title"] == "digits (scikit-learn)"
    assert len(result.provenance["data"]["checksum"]) == 64
    assert result.provenance["parameters"] == {"dataset": "digits", "steps": 1}
    assert result.tables["counts"]["images"][0] > 1000


def test_a_second_data_set_is_loaded_named_and_part_of_the_key(house, tmp_path):
    pytest.importorskip("sklearn")
    one, two = tmp_path / "one", tmp_path / "two"
    recording.record("92", {}, folder=one)
    recording.record("92", {"other_dataset": "digits-rgb"}, folder=two)
    alone, both = recorded.load(one, "92").provenance, own(two, "92").provenance
    assert alone["parameters"] == {"dataset": "digits"}
    assert "others" not in alone["data"]
    assert both["parameters"] == {"dataset": "digits", "other_dataset": "digits-rgb"}
    assert both["data"].pop("others").keys() == {"other_dataset"}
    assert both["data"] == alone["data"]
    assert both["key"] != alone["key"]
    line = refusal(RecordingError, recording.record, "92", {"other_dataset": "digit"}, folder=tmp_path / "out")
    assert "did you mean 'digits'?" in line


def test_the_size_of_the_images_is_a_parameter(house, tmp_path):
    pytest.importorskip("sklearn")
    recording.record("91", {"size": "8"}, folder=tmp_path)
    assert own(tmp_path, "91").provenance["parameters"]["size"] == 8
    assert "size=7 is not what 'digits' can give" in refusal(
        RecordingError, recording.record, "91", {"size": "7"}, folder=tmp_path
    )


def test_data_that_are_not_there_are_refused(house, tmp_path):
    for name, words in (("digit", "did you mean 'digits'?"), ("folder:/nowhere", "is not a folder")):
        line = refusal(RecordingError, recording.record, "91", {"dataset": name}, folder=tmp_path / "out")
        assert words in line
    assert not (tmp_path / "out").exists()


def test_a_folder_of_images_is_recorded_by_its_name_not_its_place(house, tmp_path):
    image = pytest.importorskip("PIL.Image")
    for name, grey in (("a/1", 0), ("a/2", 50), ("b/1", 100), ("b/2", 250)):
        path = tmp_path / "data" / "pictures" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.new("RGB", (4, 4), (grey,) * 3).save(path)
    given = {"dataset": f"folder:{tmp_path}/data/pictures", "size": "4"}
    recording.record("91", given, folder=tmp_path / "out", data_root=tmp_path / "root")
    assert own(tmp_path / "out", "91").provenance["parameters"]["dataset"] == "folder:pictures"
    assert all(str(tmp_path) not in path.read_text() for path in (tmp_path / "out").rglob("provenance.json"))


def test_annotations_that_are_text_are_read_too():
    """As of a module with ``from __future__ import annotations``."""
    module = pytest.importorskip("bnlab.chapters.ch16_random_matrices.matrix_products")
    chosen = presets.choose(module.parts, {"size": "10", "products": "[1, 2]"})
    assert (chosen["size"], chosen["products"]) == (10, [1, 2])


PRESETS = sorted((Path(__file__).resolve().parents[2] / "book" / "presets").glob("*/*.yml"))


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_books_own_presets_fit_their_experiments(path, monkeypatch):
    monkeypatch.setenv("BNLAB_BOOK", str(path.parents[3]))
    experiment = import_module(experiments.module_name(path.stem)).parts
    wanted = presets.read_preset(path.stem, path.parent.name)
    assert presets.scale_of(experiment, presets.choose(experiment, wanted.values), wanted) == "full"
