import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from bnlab.commands import record as recording
from bnlab.commands.parameters import ParameterError
from bnlab.commands.record import RecordingError
from bnlab.records import recorded

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
        if norm == "lazy":
            raise ValueError("norm = 'lazy': not a norm\nin two lines")
        frame = pd.DataFrame({"step": range(steps), "loss": [0.1 / 3**n for n in range(steps)]})
        frame.attrs["units"] = {"step": "steps", "loss": "1"}
        return frame

    def facts() -> pd.DataFrame:
        CALLS.append("facts")
        if norm == "interrupted" and CALLS.count("facts") == 1:
            raise KeyboardInterrupt
        return pd.DataFrame({"rate": rates, "device": [device] * len(rates), "shuffle": shuffle})

    return {"losses": losses, "facts": facts}


def with_data(dataset, steps: int = 1, device: str = "cpu"):
    return {"counts": lambda: pd.DataFrame({"images": [len(dataset.train_labels)], "steps": [steps]})}


@pytest.fixture
def house(mini, monkeypatch):
    """Give the miniature book's chapter 90 an experiment and a preset."""
    for name, function in (("fake", parts), ("fake_data", with_data)):
        module = ModuleType(f"bnlab.chapters.{name}")
        module.parts = function
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(recording, "EXPERIMENTS", {"90": "fake", "91": "fake_data"})
    preset(mini, "steps: 5\nrates: [1e-3, 2]\n")
    preset(mini, "dataset: digits\n", number="91")
    CALLS.clear()
    return mini


def preset(root, text: str, name: str = "paper", number: str = "90") -> None:
    path = root / "book" / "presets" / name / f"{number}.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def refusal(kind, function, *arguments, **more) -> str:
    with pytest.raises(kind) as caught:
        function(*arguments, **more)
    return str(caught.value)


def test_a_recording_is_kept_with_its_provenance(house, tmp_path, capsys):
    target = recording.record("90", {"norm": "none", "shuffle": "false"}, folder=tmp_path / "out")
    assert target == tmp_path / "out" / "90"
    result = recorded.load(tmp_path / "out", "90")
    assert result.provenance["parameters"] == {
        "steps": 5,
        "rates": [0.001, 2.0],
        "sizes": [2],
        "norm": "none",
        "shuffle": False,
    }
    assert result.provenance["data"] is None
    assert list(result.tables) == ["losses", "facts"]
    assert list(result.tables["facts"]["rate"]) == [0.001, 2.0]
    assert not result.tables["facts"]["shuffle"].any()
    assert result.tables["losses"].attrs["units"] == {"step": "steps", "loss": "1"}
    assert not list((tmp_path / "out" / ".partial").iterdir())
    shown = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in shown] == ["  1/2 losses", "  2/2 facts"]


def test_the_same_recording_is_not_repeated(house, tmp_path, capsys):
    recording.record("90", {}, folder=tmp_path)
    CALLS.clear()
    before = {path: path.read_bytes() for path in (tmp_path / "90").iterdir()}
    recording.record("90", {}, folder=tmp_path)
    assert CALLS == []
    assert "already recorded" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in (tmp_path / "90").iterdir()} == before


@pytest.mark.parametrize("change", [{"steps": "4"}, {"norm": "none"}])
def test_another_parameter_is_another_recording(house, tmp_path, change):
    recording.record("90", {}, folder=tmp_path)
    CALLS.clear()
    recording.record("90", change, folder=tmp_path)
    assert CALLS == ["losses", "facts"]


def test_another_library_is_another_recording(house, tmp_path, monkeypatch):
    recording.record("90", {}, folder=tmp_path)
    CALLS.clear()
    monkeypatch.setattr(recorded, "library_hash", lambda: "changed")
    recording.record("90", {}, folder=tmp_path)
    assert CALLS == ["losses", "facts"]


def test_an_interrupted_recording_goes_on_to_the_same_bytes(house, tmp_path, capsys):
    given = {"norm": "interrupted"}
    with pytest.raises(KeyboardInterrupt):
        recording.record("90", given, folder=tmp_path / "a")
    assert recorded.load(tmp_path / "a", "90") is None
    recording.record("90", given, folder=tmp_path / "a")
    assert CALLS == ["losses", "facts", "facts"]
    assert "1/2 losses: kept from before" in capsys.readouterr().out
    recording.record("90", given, folder=tmp_path / "b")
    tables = [{path.name: path.read_bytes() for path in (tmp_path / x / "90").glob("*.csv.gz")} for x in "ab"]
    assert tables[0] == tables[1]
    assert recorded.load(tmp_path / "a", "90").tables["losses"].attrs["units"]["loss"] == "1"
    assert recorded.load(tmp_path / "a", "90").provenance["seconds"] >= 0


@pytest.mark.parametrize("damage", ["table", "facts", "both"])
def test_a_damaged_part_is_made_again(house, tmp_path, damage):
    kept = tmp_path / "kept"
    made = recording.finish(parts(), kept)
    CALLS.clear()
    if damage != "facts":
        (kept / "losses.csv.gz").write_bytes(b"cut")
    if damage != "table":
        (kept / "losses.json").write_text('{"checksum": 3}')
    again = recording.finish(parts(), kept)
    assert CALLS == ["losses"]
    assert {name: part.content for name, part in again.items()} == {name: part.content for name, part in made.items()}


def test_a_part_kept_without_its_facts_does_not_count(house, tmp_path):
    recording.finish(parts(), tmp_path / "kept")  # killed between the two files
    (tmp_path / "kept" / "losses.json").unlink()
    CALLS.clear()
    recording.finish(parts(), tmp_path / "kept")
    assert CALLS == ["losses"]


def test_seconds_of_earlier_attempts_count(tmp_path):
    first = recording.finish(parts(), tmp_path)
    assert {name: part.seconds for name, part in recording.finish(parts(), tmp_path).items()} == {
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
    import sys, time
    from pathlib import Path
    import pandas as pd
    from bnlab import recording
    def make(name):
        def table():
            print("in", name, flush=True)
            time.sleep(float(sys.argv[2]) if name == "b" else 0)
            return pd.DataFrame({"name": [name], "x": [1 / 3]})
        return table
    recording.finish({name: make(name) for name in "abc"}, Path(sys.argv[1]))
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


def test_a_chapter_that_records_nothing(house, tmp_path):
    assert refusal(RecordingError, recording.record, "7", {}, folder=tmp_path) == (
        "chapter 7 has no full-scale run: those with one are 90, 91."
    )


@pytest.mark.parametrize("name", ["papr", "..", "", "../paper", "paper/"])
def test_a_preset_that_is_not_there(house, name):
    assert refusal(RecordingError, recording.read_preset, "90", name) == (
        f"chapter 90 has no preset {name!r}: it has paper."
    )


def test_presets_of_a_chapter_are_listed(house):
    preset(house, "", name="wide")
    assert "it has paper, wide." in refusal(RecordingError, recording.read_preset, "90", "x")
    assert "it has none." in refusal(RecordingError, recording.read_preset, "92", "paper")


@pytest.mark.parametrize("text", ["", "- a", "words", "a: [", "? [a]\n: b", "[" * 5000, "\0", "- !!bool x"])
def test_a_preset_that_is_no_mapping(house, text):
    preset(house, text)
    line = refusal(RecordingError, recording.read_preset, "90", "paper")
    assert "paper/90.yml" in line
    assert "\n" not in line


def test_a_preset_that_is_no_text(house):
    (house / "book" / "presets" / "paper" / "90.yml").write_bytes(b"\xff\xfe")
    assert "cannot be read" in refusal(RecordingError, recording.read_preset, "90", "paper")


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
        ParameterError, recording.choose, with_data, {}
    )


def test_a_device_that_is_not_there_is_refused(house, tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    line = refusal(ParameterError, recording.record, "90", {}, device="cuda", folder=tmp_path / "out")
    assert "device = 'cuda' cannot be used (this machine's torch sees no CUDA device)" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", [{"steps": "101"}, {"norm": "lazy"}])
def test_what_the_experiment_itself_refuses_is_one_answer(house, tmp_path, given):
    assert refusal(RecordingError, recording.record, "90", given, folder=tmp_path).startswith("chapter 90: ")
    assert recorded.load(tmp_path, "90") is None


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


def test_the_size_of_the_images_is_a_parameter(house, tmp_path):
    pytest.importorskip("sklearn")
    recording.record("91", {"size": "8"}, folder=tmp_path)
    assert recorded.load(tmp_path, "91").provenance["parameters"]["size"] == 8
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
    assert recorded.load(tmp_path / "out", "91").provenance["parameters"]["dataset"] == "folder:pictures"
    assert str(tmp_path) not in (tmp_path / "out" / "91" / "provenance.json").read_text()


def test_annotations_that_are_text_are_read_too():
    """As of a module with ``from __future__ import annotations``."""
    module = pytest.importorskip("bnlab.chapters.ch16_random_matrices.matrix_products")
    chosen = recording.choose(module.parts, {"size": "10", "products": "[1, 2]"})
    assert (chosen["size"], chosen["products"]) == (10, [1, 2])


PRESETS = sorted((Path(__file__).resolve().parents[2] / "book" / "presets").glob("*/*.yml"))


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_books_own_presets_fit_their_experiments(path, monkeypatch):
    monkeypatch.setenv("BNLAB_BOOK", str(path.parents[3]))
    module = import_module(f"bnlab.chapters.{recording.EXPERIMENTS[path.stem]}")
    assert recording.choose(module.parts, recording.read_preset(path.stem, path.parent.name))
