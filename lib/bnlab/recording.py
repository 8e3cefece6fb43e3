"""Run a chapter's experiment at full scale, without Jupyter, and keep the result with its provenance.

An experiment module offers ``parts(...)``: the chapter's tables by name, each with the function that makes it. A part
is kept as soon as it is finished, so a recording killed at any moment loses at most the part in flight, and running it
again goes on from there to the same numbers (key: parameters, library source, data checksum).
"""

import difflib
import inspect
import json
import shutil
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

import pandas as pd
import yaml

from bnlab import book, parameters, recorded

# Chapter -> the module of bnlab.experiments that records it.
EXPERIMENTS = {"04": "natural_modes", "16": "matrix_products"}


class RecordingError(RuntimeError):
    """A recording that cannot start. Its text is one clear line."""


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
    module = import_module(f"bnlab.experiments.{EXPERIMENTS[number]}")
    chosen = choose(module.parts, {**read_preset(number, preset), **given})
    where = parameters.device().coerce(device) if device else "cpu"
    arguments, data = dict(chosen), None
    if "dataset" in chosen:
        from bnlab import datasets  # late: an experiment without data needs neither torchvision nor scikit-learn

        loaded = datasets.load(str(chosen["dataset"]), root=data_root, size=chosen.get("size"))
        arguments["dataset"] = loaded
        data = {"title": loaded.title, "checksum": loaded.checksum}
        arguments.pop("size", None)
    key = recorded.run_key(number, chosen, data)
    if (known := recorded.load(folder, number)) and known.provenance["key"] == key:
        print(f"chapter {number}: already recorded with these parameters, this library and these data.")
        return folder / number
    try:
        parts = module.parts(**arguments, device=where)
    except ValueError as error:
        raise RecordingError(f"chapter {number}: {error}") from None
    partial = folder / ".partial" / f"{number}-{key[:16]}"
    packed, seconds = finish(parts, partial)
    target = recorded.save(folder, number, packed, parameters=chosen, data=data, device=where, seconds=seconds)
    shutil.rmtree(partial, ignore_errors=True)
    return target


def finish(parts: Mapping[str, Callable[[], pd.DataFrame]], partial: Path) -> tuple[dict[str, bytes], float]:
    """Make every part that ``partial`` does not hold yet, keeping each at once.

    Returns:
        The packed tables by name, and the seconds spent on them, earlier attempts included.
    """
    partial.mkdir(parents=True, exist_ok=True)
    packed, total = {}, 0.0
    for number, (name, make) in enumerate(parts.items(), 1):
        kept, spent = partial / f"{name}.csv.gz", partial / f"{name}.seconds"
        if kept.is_file() and spent.is_file():
            print(f"  {number}/{len(parts)} {name}: kept from before", flush=True)
        else:
            started = time.perf_counter()
            content = recorded.pack(name, make())
            seconds = time.perf_counter() - started
            recorded.write_atomically(kept, content)
            recorded.write_atomically(spent, json.dumps(seconds).encode())  # last: it says that the table is whole
            print(f"  {number}/{len(parts)} {name}: {seconds:.1f} s", flush=True)
        packed[name] = kept.read_bytes()
        total += float(json.loads(spent.read_text()))
    return packed, total


def read_preset(number: str, preset: str) -> dict[str, object]:
    """Read ``book/presets/<preset>/<number>.yml``.

    Raises:
        RecordingError: missing, unreadable, or not a mapping of parameters.
    """
    folder = book.root() / "book" / "presets"
    path = folder / Path(preset).name / f"{number}.yml"
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        there = ", ".join(sorted(p.parent.name for p in folder.glob(f"*/{number}.yml"))) or "none"
        raise RecordingError(f"chapter {number} has no preset {preset!r}: it has {there}.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecordingError(f"{path} cannot be read ({error.__class__.__name__}).") from None
    if not isinstance(values, dict):
        raise RecordingError(f"{path} must be a mapping from parameter to value.")
    return values


def choose(experiment: Callable, values: Mapping[str, object]) -> dict[str, object]:
    """Coerce values to the annotations of an experiment's arguments, defaults filled in; refuse what it does not have.

    Raises:
        ParameterError: an unknown name, a wrong type, or an argument without value.
    """
    signature = inspect.signature(experiment).parameters
    declared = {name: argument for name, argument in signature.items() if name != "device"}
    extra = {"size"} if "dataset" in declared else set()
    for name in values:
        if name not in declared and name not in extra:
            near = difflib.get_close_matches(name, declared, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}? " if near else ""
            names = ", ".join(declared)
            raise parameters.ParameterError(f"unknown parameter {name}: {hint}The experiment has {names}.")
    chosen = {}
    for name, argument in declared.items():
        value = values.get(name, argument.default)
        if value is argument.empty:
            raise parameters.ParameterError(f"parameter {name} has no value: give it in the preset or with -p.")
        chosen[name] = _coerce(name, value, argument.annotation)
    if "size" in values:
        chosen["size"] = _coerce("size", values["size"], int)
    return chosen


def _coerce(name: str, value: object, annotation: object) -> object:
    words = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    listed = str(annotation).startswith(("list", "tuple", "collections.abc.Sequence", "Sequence"))
    item = parameters.integer() if "int" in str(annotation) else parameters.real()
    if "str" in str(annotation):
        item = parameters.text()
    if name == "dataset":
        kind = parameters.dataset()
    elif listed:
        kind = parameters.list_of(item)
    elif words == "bool":
        kind = parameters.boolean()
    else:
        kind = item
    try:
        return kind.coerce(value)
    except ValueError as reason:
        raise parameters.ParameterError(
            f"{name} = {value!r} cannot be used ({reason}): it must be {kind.description}."
        ) from None
