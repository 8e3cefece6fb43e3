"""A recorded result made again: what still comes out, what does not, and what cannot be asked."""

import sys
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from bnlab.commands import cli
from bnlab.commands import record as recording
from bnlab.commands import verify as verifying
from bnlab.commands.parameters import ParameterError
from bnlab.commands.presets import RecordingError
from bnlab.records import experiments, keys, provenance, recorded
from bnlab.records.packing import pack
from bnlab.sweeps import sweep as sweeps

MADE = []
ERROR = {"relative": 0.0}  # of what the toy experiments compute here
PLACE = {"versions": {"bnlab": "0", "torch": "0"}, "device": "a CPU", "cpu": "a model", "commit": "0123456789abcdef"}


def parts(steps: int = 4):
    def losses() -> pd.DataFrame:
        MADE.append("losses")
        loss = [(1 + ERROR["relative"]) / 3**n for n in range(steps)]
        return pd.DataFrame({"step": range(steps), "loss": loss, "note": "µ"})

    def facts() -> pd.DataFrame:
        MADE.append("facts")
        return pd.DataFrame({"name": ["a", "b"], "value": [np.nan, 2.0]})

    return {"losses": losses, "facts": facts}


def run(point: dict) -> pd.DataFrame:
    MADE.append(point["seed"])
    return pd.DataFrame({"step": [0, 1], "loss": [(1 + ERROR["relative"]) * point["seed"] / 7, 0.5]})


def swept(folder=None):
    def runs() -> pd.DataFrame:
        with ThreadPoolExecutor(1) as executor:
            points = sweeps.grid(seed=list(range(20)))
            return sweeps.sweep(points, run, folder=folder, executor=executor, progress=False)

    return {"runs": runs}


def with_data(dataset):
    return {"counts": lambda: pd.DataFrame({"images": [len(dataset.train_labels)]})}


@pytest.fixture
def folder(mini, tmp_path, monkeypatch):
    """Give the miniature book chapters with recordings, made on a machine in ``PLACE``."""
    chapters = {"90": parts, "91": swept, "92": with_data}
    for number, function in chapters.items():
        module = ModuleType(f"bnlab.chapters.fake{number}")
        module.parts = function
        monkeypatch.setitem(sys.modules, module.__name__, module)
        preset = mini / "book" / "presets" / "paper" / f"{number}.yml"
        preset.write_text("dataset: digits\n" if number == "92" else "{}\n")
    monkeypatch.setattr(experiments, "EXPERIMENTS", {number: f"fake{number}" for number in chapters})
    monkeypatch.setattr(keys.Sources, "of", classmethod(lambda cls, *names: cls(names, dict.fromkeys(names, "a"), {})))
    monkeypatch.setattr(provenance, "machine", lambda device: dict(PLACE))
    target = tmp_path / "recorded"
    for number in ("90", "91"):
        recording.record(number, {}, folder=target)
    MADE.clear()
    return target


def altered(folder, number: str, part: str, change) -> None:
    """Record something else in a table's place, as a hand could: the checksums are right."""
    known = recorded.load(folder, number)
    tables = {name: change(table.copy()) if name == part else table for name, table in known.tables.items()}
    facts = {name: value for name, value in known.provenance.items() if name not in ("finished", "tables")}
    recorded.save(folder / number, {name: pack(name, table) for name, table in tables.items()}, facts)


def computes(monkeypatch, error: float, **elsewhere: str) -> None:
    """Let this machine compute so much more, and differ from the one that recorded."""
    monkeypatch.setitem(ERROR, "relative", error)
    monkeypatch.setattr(provenance, "machine", lambda device: PLACE | elsewhere)


def refusal(*arguments, **more) -> str:
    with pytest.raises(RecordingError) as caught:
        verifying.verify(*arguments, **more)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_bits_that_agree(folder):
    first, second = verifying.verify("90", ["losses", "facts"], folder=folder)
    assert MADE == ["losses", "facts"]
    assert first == verifying.Agreement("losses", 4, True, 0.0, True)
    assert second.holds  # NaN beside NaN
    assert str(first) == "losses: 4 rows bit for bit as recorded"


def test_the_cheapest_part_is_made_if_none_is_named(folder):
    known = recorded.load(folder, "90")
    for cheap, seconds in (("facts", {"losses": 2.0, "facts": 1.0}), ("losses", {"losses": 2.0, "facts": 3.0})):
        facts = {name: value for name, value in known.provenance.items() if name not in ("finished", "tables")}
        packed = {name: pack(name, table) for name, table in known.tables.items()}
        recorded.save(folder / "90", packed, facts | {"part_seconds": seconds})
        (found,) = verifying.verify("90", folder=folder)
        assert found.part == cheap


@pytest.mark.parametrize("digit", [1e-3, 1e-15])
def test_one_number_changed_by_hand_is_noticed(folder, digit):
    def change(table):
        table.loc[2, "loss"] *= 1 + digit
        return table

    altered(folder, "90", "losses", change)
    (found,) = verifying.verify("90", ["losses"], folder=folder)
    assert not found.holds
    assert not found.bits
    assert found.difference == pytest.approx(digit, rel=0.2)
    assert str(found) == f"losses: 4 rows as recorded to {found.difference:.1e}, on the machine that recorded it"


@pytest.mark.parametrize(
    "change",
    [
        lambda table: pd.concat([table, table.tail(1).assign(step=99)]),  # a row too many
        lambda table: pd.concat([table, table.tail(1)]),  # a row twice
        lambda table: table.assign(note="u"),
        lambda table: table.rename(columns={"note": "remark"}),
        lambda table: table.assign(loss=table["loss"].where(table["step"] > 0)),  # a number that is no longer there
        lambda table: table.assign(step=table["step"] + 1),
    ],
)
def test_a_table_changed_by_hand_is_noticed(folder, change):
    altered(folder, "90", "losses", change)
    (found,) = verifying.verify("90", ["losses"], folder=folder)
    assert not found.holds
    assert found.difference == np.inf
    assert str(found) == "losses: rows that differ in more than numbers, on the machine that recorded it"


def test_rows_in_another_order_are_the_same_rows(folder):
    altered(folder, "90", "losses", lambda table: table[::-1])
    (found,) = verifying.verify("90", ["losses"], folder=folder)
    assert found.bits


@pytest.mark.parametrize(("error", "holds"), [(9e-3, True), (1.1e-2, False)])
@pytest.mark.parametrize("elsewhere", [{"cpu": "another model"}, {"versions": {"bnlab": "0", "torch": "1"}}])
def test_another_machine_agrees_to_a_tolerance(folder, monkeypatch, error, holds, elsewhere):
    computes(monkeypatch, error, **elsewhere)
    (found,) = verifying.verify("90", ["losses"], folder=folder)
    assert (found.holds, found.bits, found.same_machine) == (holds, False, False)
    assert str(found) == f"losses: 4 rows as recorded to {error / (1 + error):.1e}, on another machine"


def test_the_machine_that_recorded_it_has_no_tolerance(folder, monkeypatch):
    computes(monkeypatch, 1e-14, commit="another")  # of the library: what it changed must not move a bit
    (found,) = verifying.verify("90", ["losses"], folder=folder)
    assert found.same_machine
    assert not found.holds


def test_of_a_sweep_only_a_few_runs_are_made(folder):
    drawn = []
    for seed in (0, 0, 1):
        MADE.clear()
        (found,) = verifying.verify("91", folder=folder, seed=seed)
        assert found == verifying.Agreement("runs", 2 * verifying.RUNS, True, 0.0, True)
        drawn.append(sorted(MADE))
    assert drawn[0] == drawn[1] != drawn[2]
    assert {len(seeds) for seeds in drawn} == {verifying.RUNS}
    assert not (folder / ".partial" / "runs").exists() or not list((folder / ".partial" / "runs").glob("*/*"))


def test_of_a_sweep_a_number_changed_by_hand_is_noticed_where_it_is_drawn(folder):
    verifying.verify("91", folder=folder, seed=3)
    seen = MADE[-1]
    altered(folder, "91", "runs", lambda table: table.assign(loss=table["loss"] + 0.1 * (table["seed"] == seen)))
    (found,) = verifying.verify("91", folder=folder, seed=3)
    assert not found.holds
    unseen = next(seed for seed in range(100) if _lacks(folder, seed, seen))
    (found,) = verifying.verify("91", folder=folder, seed=unseen)
    assert found.bits


def _lacks(folder, seed: int, point: int) -> bool:
    MADE.clear()
    verifying.verify("91", folder=folder, seed=seed)
    return point not in MADE


def test_what_cannot_be_asked(folder, tmp_path):
    for parts_asked in (["lossez"], ["losses", ""]):
        line = refusal("90", parts_asked, folder=folder)
        name = parts_asked[-1]
        assert line == f"the recording has no part {name!r} that could be made again: losses, facts."
    nowhere = tmp_path / "nowhere"
    assert refusal("90", folder=nowhere) == f"chapter 90 has no recording in {nowhere} that could be verified."
    assert refusal("93", folder=folder).startswith("chapter 93 has no full-scale run")
    with pytest.raises(ParameterError, match="unknown parameter stepz: did you mean steps"):
        verifying.verify("90", given={"stepz": 3}, folder=folder)
    assert MADE == []


def test_other_data_are_refused(folder):
    pytest.importorskip("sklearn")
    recording.record("92", {}, folder=folder)
    (found,) = verifying.verify("92", folder=folder)
    assert found.bits
    assert refusal("92", given={"dataset": "digits-rgb"}, folder=folder).endswith(
        "here is not what chapter 92 was recorded with."
    )


def test_the_command_says_it_and_its_status_tells(folder, capsys):
    command = ["record", "90", "-o", str(folder), "--verify", "losses"]
    assert cli.main(command) == 0
    assert capsys.readouterr().out == "losses: 4 rows bit for bit as recorded\n"
    altered(folder, "90", "losses", lambda table: table.assign(loss=table["loss"] * 2))
    assert cli.main(command) == 1
    assert capsys.readouterr().out == "losses: 4 rows as recorded to 5.0e-01, on the machine that recorded it\n"
    assert cli.main(["record", "90", "-o", str(folder), "--verify", "nothing"]) == 2
    assert capsys.readouterr().err == (
        "bnlab: the recording has no part 'nothing' that could be made again: losses, facts.\n"
    )
