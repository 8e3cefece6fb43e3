"""Look whether a recorded result still comes out: parts of it made again, and compared with what was recorded.

On the machine that recorded it the bits must agree; on another one rounding differs, and training amplifies it, so that
numbers must agree to a tolerance. Of a part that is a sweep only a few runs are made, drawn by a seed.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd

from bnlab.commands import parameters
from bnlab.commands.plan import known_chapter, prepare
from bnlab.commands.presets import RecordingError, choose
from bnlab.records import experiments, provenance, recorded
from bnlab.records.arithmetic import fixed
from bnlab.records.packing import pack, unpack
from bnlab.sweeps.stopping import stopping

RUNS = 3  # of a sweep
TOLERANCE = 1e-2  # relative, on another machine


@dataclass(frozen=True)
class Agreement:
    """How a part made again compares: the rows looked at, whether their bits agree, the largest relative difference."""

    part: str
    rows: int
    bits: bool
    difference: float  # of numbers; infinite where a row is not there or a text differs
    same_machine: bool

    @property
    def holds(self) -> bool:
        """Whether the recorded numbers still come out."""
        return self.bits or (not self.same_machine and self.difference <= TOLERANCE)

    def __str__(self) -> str:
        """Say it in one line."""
        if self.bits:
            return f"{self.part}: {self.rows} rows bit for bit as recorded"
        where = "the machine that recorded it" if self.same_machine else "another machine"
        if self.difference == np.inf:
            return f"{self.part}: rows that differ in more than numbers, on {where}"
        return f"{self.part}: {self.rows} rows as recorded to {self.difference:.1e}, on {where}"


def verify(
    chapter: str,
    parts: Sequence[str] = (),
    *,
    given: Mapping[str, object] | None = None,
    device: str = "cpu",
    data_root: Path | None = None,
    folder: Path,
    seed: int = 0,
) -> list[Agreement]:
    """Make parts of a recorded result again, with its own parameters, and compare.

    Args:
        chapter: its number.
        parts: which; the cheapest if none is named.
        given: where the data are, if the recording does not say (``dataset``).
        device: "auto", "cpu" or "cuda".
        data_root: where the data sets are.
        folder: ``data/recorded``.
        seed: draws the runs of a sweep.

    Raises:
        RecordingError: nothing is recorded, it has no such part, or the data are others.
        ParameterError: the experiment has other parameters by now.
    """
    number = known_chapter(chapter)
    known = recorded.load(folder, number)
    if known is None:
        raise RecordingError(f"chapter {number} has no recording in {folder} that could be verified.")
    facts, experiment = known.provenance, import_module(experiments.module_name(number)).parts
    where = parameters.usable("device", device, parameters.device())
    with fixed(where), stopping():
        chosen = choose(experiment, {**facts["parameters"], **(given or {})})
        plan = prepare(number, experiment, chosen, where, data_root)
        if provenance.checksums(plan.data) != provenance.checksums(facts["data"]):
            named = provenance.titles(plan.data)
            raise RecordingError(f"{named} here is not what chapter {number} was recorded with.")
        arguments = dict(plan.arguments)
        if sampled := "folder" in inspect.signature(experiment).parameters:
            from bnlab.sweeps.sweep import Sample  # late: the door opens without torch

            arguments["folder"] = Sample(RUNS, seed)
        makers = experiment(**arguments)
        same = all(facts[name] == value for name, value in provenance.machine(where).items() if name != "commit")
        return [
            _agreement(name, makers[name](), known.tables[name], same, sampled)
            for name in _chosen(parts, known, makers)
        ]


def _chosen(parts: Sequence[str], known: recorded.Recorded, makers: Mapping[str, object]) -> Sequence[str]:
    there = [name for name in makers if name in known.tables]
    for name in parts:
        if name not in there:
            raise RecordingError(f"the recording has no part {name!r} that could be made again: {', '.join(there)}.")
    seconds = known.provenance["part_seconds"]
    return parts or [min(there, key=lambda name: seconds.get(name, np.inf))]


def _agreement(part: str, made: pd.DataFrame, kept: pd.DataFrame, same_machine: bool, sampled: bool) -> Agreement:
    made = unpack(pack(part, made))  # through the form in which it is kept
    if list(made) != list(kept) or (len(made) != len(kept) and not sampled):
        return Agreement(part, len(made), False, np.inf, same_machine)
    if set(_lines(made)) <= set(_lines(kept)):
        return Agreement(part, len(made), True, 0.0, same_machine)
    return Agreement(part, len(made), False, max(_distances(made, kept)), same_machine)


def _lines(table: pd.DataFrame) -> list[str]:
    return table.to_csv(index=False, header=False, lineterminator="\n").splitlines()


def _distances(made: pd.DataFrame, kept: pd.DataFrame) -> list[float]:
    """Largest relative difference of each row's floats from those of the nearest row that is equal in all else."""
    floats = [name for name in made if made[name].dtype.kind == "f" and kept[name].dtype.kind in "if"]
    others = [name for name in made if name not in floats]
    groups = dict(list(kept.groupby(others, dropna=False))) if others else {(): kept}
    found = []
    for _, row in made.iterrows():
        near = groups.get(tuple(row[others]))
        if near is None:
            return [np.inf]
        one, many = row[floats].to_numpy(float), near[floats].to_numpy(float)
        scale = np.maximum(np.maximum(np.abs(one), np.abs(many)), np.finfo(float).tiny)
        apart = np.where((one == many) | (np.isnan(one) & np.isnan(many)), 0.0, np.abs(one - many) / scale)
        found.append(float(np.nan_to_num(apart, nan=np.inf).max(axis=1, initial=0.0).min()))
    return found
