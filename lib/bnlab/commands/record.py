"""Run a chapter's experiment at full scale, without Jupyter, and keep the result with its provenance.

An experiment module offers ``parts(...)``: the chapter's tables by name, each with the function that makes it. A part
is kept as soon as it is finished, so a recording killed at any moment loses at most the part in flight, and running it
again goes on from there to the same numbers (key: parameters, library source, data checksum). An experiment of many
single runs takes a ``folder`` besides, and keeps each of them there.
"""

import hashlib
import inspect
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pandas as pd

from bnlab.claims import book
from bnlab.commands import parameters
from bnlab.literals import plain_yaml
from bnlab.records import recorded

# Chapter -> the module of bnlab.chapters that records it.
EXPERIMENTS = {
    "01": "ch01_algorithm.batch_sizes",
    "02": "ch02_inference_and_noise.inference",
    "04": "ch04_natural_modes.natural_modes",
    "05": "ch05_channel_scaling.channel_scaling",
    "06": "ch06_speed_and_stability.channel_norms",
    "07": "ch07_minimum_disturbance.arrangements",
    "11": "ch11_length_and_direction.decoupling",
    "12": "ch12_convergence_guarantees.tangent_kernels",
    "16": "ch16_random_matrices.matrix_products",
}


class RecordingError(RuntimeError):
    """A recording that cannot start or go on. Its text is one clear line."""


@dataclass(frozen=True)
class Part:
    """A finished table: as `recorded.pack` makes it, the unit of every column, and the seconds it took."""

    content: bytes
    units: dict[str, str]
    seconds: float


def record(
    chapter: str,
    given: Mapping[str, object],
    *,
    preset: str = "paper",
    device: str = "auto",
    data_root: Path | None = None,
    folder: Path,
) -> Path:
    """Run the experiment of a chapter with a preset's parameters, overridden by ``given``, and save its tables.

    Returns:
        The folder with the result; an identical recording that is already there is not repeated.

    Raises:
        RecordingError: the chapter records nothing, the preset is missing or unreadable, or the experiment refuses.
        ParameterError: an unknown parameter or a wrong type.
    """
    number = str(chapter).zfill(2)
    if number not in EXPERIMENTS:
        raise RecordingError(f"chapter {chapter} has no full-scale run: those with one are {', '.join(EXPERIMENTS)}.")
    module = import_module(f"bnlab.chapters.{EXPERIMENTS[number]}")
    chosen = choose(module.parts, {**read_preset(number, preset), **given})
    where = parameters.usable("device", device, parameters.device())
    arguments, data = dict(chosen), None
    if "dataset" in chosen:
        loaded = _load(chosen, data_root)
        arguments["dataset"] = loaded
        arguments.pop("size", None)
        data = {"title": loaded.title, "checksum": loaded.checksum}
        if chosen["dataset"].startswith("folder:"):  # the checksum says which data; where they lay is nobody's business
            chosen["dataset"] = "folder:" + Path(chosen["dataset"].removeprefix("folder:")).name
    key = recorded.run_key(number, chosen, data)
    try:
        if (known := recorded.load(folder, number)) and known.provenance["key"] == key:
            print(f"chapter {number}: already recorded with these parameters, this library and these data.")
            return folder / number
    except recorded.RecordedError:
        print(f"chapter {number}: the result that is there is damaged, it is recorded again.")
    partial = folder / ".partial" / f"{number}-{key[:16]}"
    try:
        if "folder" in inspect.signature(module.parts).parameters:  # it keeps single runs as well
            arguments["folder"] = folder / ".partial" / "runs"
        done = finish(module.parts(**arguments, device=where), partial)
    except ValueError as error:
        raise RecordingError(f"chapter {number}: {error}") from None
    target = recorded.save(
        folder, number, {name: part.content for name, part in done.items()}, parameters=chosen, data=data, device=where,
        seconds=sum(part.seconds for part in done.values()), units={name: part.units for name, part in done.items()},
    )  # fmt: skip
    shutil.rmtree(partial, ignore_errors=True)
    return target


def finish(parts: Mapping[str, Callable[[], pd.DataFrame]], partial: Path) -> dict[str, Part]:
    """Make every part that ``partial`` does not hold yet, keeping each at once; earlier attempts' seconds count.

    Raises:
        RecordingError: ``partial`` cannot be written.
    """
    _write(partial)
    done = {}
    for number, (name, make) in enumerate(parts.items(), 1):
        part, note = _kept(partial, name), "kept from before"
        if part is None:
            started = time.perf_counter()
            table = make()
            content = recorded.pack(name, table)
            part = Part(content, dict(table.attrs.get("units", {})), time.perf_counter() - started)
            facts = {"checksum": _checksum(content), "units": part.units, "seconds": part.seconds}
            _write(partial, **{f"{name}.csv.gz": content, f"{name}.json": json.dumps(facts).encode()})
            note = f"{part.seconds:.1f} s"
        print(f"  {number}/{len(parts)} {name}: {note}", flush=True)
        done[name] = part
    return done


def _kept(partial: Path, name: str) -> Part | None:
    try:
        facts = json.loads((partial / f"{name}.json").read_text(encoding="utf-8"))
        content = (partial / f"{name}.csv.gz").read_bytes()
        if facts["checksum"] == _checksum(content):
            return Part(content, dict(facts["units"]), float(facts["seconds"]))
    except (OSError, ValueError, TypeError, KeyError):
        pass
    return None  # missing or damaged: made again


def _write(partial: Path, **files: bytes) -> None:
    try:
        partial.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            recorded.write_atomically(partial / name, content)
    except OSError as error:
        raise RecordingError(f"{partial} cannot be written ({error.strerror}): name a folder that can be.") from None


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _load(chosen: Mapping[str, object], data_root: Path | None):
    from bnlab import datasets  # late: an experiment without data needs neither torchvision nor scikit-learn

    try:
        return datasets.load(str(chosen["dataset"]), root=data_root, size=chosen.get("size"))
    except datasets.DatasetError as error:
        raise RecordingError(str(error)) from None


def read_preset(number: str, preset: str) -> dict[str, object]:
    """Read ``book/presets/<preset>/<number>.yml``.

    Raises:
        RecordingError: missing, unreadable, or not a mapping of parameters.
    """
    folder = book.root() / "book" / "presets"
    there = {path.parent.name: path for path in sorted(folder.glob(f"*/{number}.yml"))}
    if preset not in there:
        names = ", ".join(there) or "none"
        raise RecordingError(f"chapter {number} has no preset {preset!r}: it has {names}.")
    path = there[preset]
    try:
        values = plain_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path} cannot be read ({error}).") from None
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise RecordingError(f"{path} must be a mapping from parameter to value.")
    return values


def choose(experiment: Callable, values: Mapping[str, object]) -> dict[str, object]:
    """Coerce values to the annotations of an experiment's arguments, defaults filled in; refuse what it does not have.

    Raises:
        ParameterError: an unknown name, a wrong type, or an argument without value.
    """
    signature = inspect.signature(experiment).parameters
    declared = {name: argument for name, argument in signature.items() if name not in ("device", "folder")}
    extra = {"size"} if "dataset" in declared else set()
    for name in values:
        if name not in declared and name not in extra:
            raise parameters.unknown(name, [*declared, *extra], "The experiment")
    chosen = {}
    for name, argument in declared.items():
        value = values.get(name, argument.default)
        if value is argument.empty:
            raise parameters.ParameterError(f"parameter {name} has no value: give it in the preset or with -p.")
        chosen[name] = parameters.usable(name, value, _kind(name, str(argument.annotation)))
    if "size" in values:
        chosen["size"] = parameters.usable("size", values["size"], parameters.integer(1))
    return chosen


def _kind(name: str, annotation: str) -> parameters.Kind:
    if name == "dataset":
        return parameters.text()  # `datasets.load` knows the data root, and refuses with the nearest right name
    if "bool" in annotation:
        return parameters.boolean()
    item = parameters.integer() if "int" in annotation else parameters.real()
    if "str" in annotation:
        item = parameters.text()
    listed = annotation.startswith(("list", "tuple", "collections.abc.Sequence", "Sequence"))
    return parameters.list_of(item) if listed else item
