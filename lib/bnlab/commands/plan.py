"""What is to be recorded, settled before any work: an experiment with its arguments, data, sources and arithmetic."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bnlab.commands.presets import RecordingError, data_of
from bnlab.records import experiments, keys, provenance
from bnlab.records.arithmetic import Arithmetic, engine_of


@dataclass(frozen=True)
class Plan:
    """What is to be recorded, settled before any work: nothing that decides a number is looked up later."""

    number: str
    experiment: Callable
    chosen: dict[str, object]  # as the provenance shows them
    arguments: dict[str, object]  # as the experiment takes them
    data: dict[str, object] | None  # as `provenance.data_facts` makes them
    arithmetic: Arithmetic
    sources: keys.Sources

    def key(self, hashes: Mapping[str, str] | None = None) -> str:
        """Name the recording; with other sources, as they would have named it."""
        hashes = self.sources.hashes if hashes is None else hashes
        return keys.recording_key(self.number, self.chosen, hashes, provenance.checksums(self.data), self.arithmetic)


def known_chapter(chapter: str) -> str:
    """Give a chapter's number with two digits; raise RecordingError where the chapter records nothing."""
    number = str(chapter).zfill(2)
    if number not in experiments.EXPERIMENTS:
        there = ", ".join(experiments.EXPERIMENTS)
        raise RecordingError(f"chapter {chapter} has no full-scale run: those with one are {there}.")
    return number


def prepare(
    number: str, experiment: Callable, chosen: Mapping[str, object], device: str, data_root: Path | None
) -> Plan:
    """Load the data onto the device and settle what decides the numbers.

    Raises:
        RecordingError: the data cannot be given.
    """
    arguments, shown, takes = dict(chosen), dict(chosen), inspect.signature(experiment).parameters
    loaded = {}
    for argument, name in data_of(chosen).items():
        loaded[argument] = arguments[argument] = _load(name, chosen.get("size"), data_root, device)
        if name.startswith("folder:"):  # the checksum says which data; where they lay is nobody's business
            shown[argument] = "folder:" + Path(name.removeprefix("folder:")).name
    if "size" not in takes:
        arguments.pop("size", None)
    data = provenance.data_facts(loaded)
    if "device" in takes:
        arguments["device"] = device
    sources = keys.Sources.of(experiments.module_name(number))
    engine = engine_of(device, sources.hashes, sweep="folder" in takes)
    return Plan(number, experiment, shown, arguments, data, Arithmetic.now(device, engine), sources)


def _load(name: str, size: int | None, data_root: Path | None, device: str):
    from bnlab import datasets  # late: an experiment without data needs neither torchvision nor scikit-learn

    try:
        return datasets.load(name, root=data_root, size=size, device=device)
    except datasets.DatasetError as error:
        raise RecordingError(str(error)) from None
