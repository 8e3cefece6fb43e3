"""What a recording is given: a preset's parameters, overridden on the command line, checked against the experiment.

A preset may declare ``full_scale``: what a recording needs to count as the document's scale. Anything else is of scale
``own``: kept beside, and never judged.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bnlab.claims import book
from bnlab.commands import parameters
from bnlab.commands.bounds import kind_of
from bnlab.literals import plain_yaml
from bnlab.records import experiments

FULL_SCALE = "full_scale"  # the one entry of a preset that is no parameter
AT_LEAST = "at least "
DATASET = "dataset"


class RecordingError(RuntimeError):
    """A recording that cannot start or go on. Its text is one clear line."""


@dataclass(frozen=True)
class Preset:
    """Parameters as a preset says them, and what it declares of the document's scale: None, if nothing."""

    values: dict[str, object]
    full_scale: dict[str, object] | None = None


def read_preset(number: str, preset: str) -> Preset:
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
    declared = values.pop(FULL_SCALE, None)
    if declared is not None and not isinstance(declared, dict):
        raise RecordingError(f"{path}: {FULL_SCALE} must be a mapping from parameter to what it needs.")
    return Preset(values, declared)


def choose(experiment: Callable, values: Mapping[str, object]) -> dict[str, object]:
    """Coerce values to the annotations of an experiment's arguments, defaults filled in; refuse what it does not have.

    Raises:
        ParameterError: an unknown name, a wrong type, or an argument without value.
    """
    known = kinds(experiment)
    signature = inspect.signature(experiment).parameters
    for name in values:
        if name not in known:
            raise parameters.unknown(name, known, "The experiment")
    chosen = {}
    for name, kind in known.items():
        if name == "size" and name not in signature:  # of the images, for `datasets.load`
            if name in values:
                chosen[name] = parameters.usable(name, values[name], kind)
            continue
        if _is_data(name) and name not in values and signature[name].default is None:  # a second one, not asked for
            continue
        value = values.get(name, signature[name].default)
        if value is inspect.Parameter.empty:
            raise parameters.ParameterError(f"parameter {name} has no value: give it in the preset or with -p.")
        chosen[name] = parameters.usable(name, value, kind)
    return chosen


def kinds(experiment: Callable) -> dict[str, parameters.Kind]:
    """Read what each argument of an experiment may be; a data set also has the size of its images."""
    chapter = experiments.chapter_of(experiment.__module__)
    declared = inspect.signature(experiment).parameters
    found = {
        name: _kind(chapter, name, str(argument.annotation))
        for name, argument in declared.items()
        if name not in ("device", "folder")
    }
    return found | ({"size": parameters.integer(1)} if "dataset" in found else {})


def scale_of(experiment: Callable, chosen: Mapping[str, object], preset: Preset) -> str:
    """Tell whether chosen parameters count as the document's scale, "full", or are somebody's "own".

    ``full_scale`` of the preset says what is needed: a value; "at least" a number; of a list, all that it names.
    Without it the preset itself is needed, to the letter.

    Raises:
        RecordingError: ``full_scale`` names a parameter that is not there, or says something impossible of it.
    """
    if preset.full_scale is None:
        return "full" if chosen == choose(experiment, preset.values) else "own"
    known = kinds(experiment)
    for name in preset.full_scale:
        if name not in known:
            raise RecordingError(f"{FULL_SCALE} names {name}, which is no parameter of the experiment.")
    met = (_meets(chosen.get(name), need, name, known[name]) for name, need in preset.full_scale.items())
    return "full" if all(met) else "own"


def _meets(value: object, need: object, name: str, kind: parameters.Kind) -> bool:
    if isinstance(need, str) and need.startswith(AT_LEAST):
        return value is not None and value >= parameters.usable(name, need.removeprefix(AT_LEAST), kind)
    needed = parameters.usable(name, need, kind)
    return set(needed) <= set(value or ()) if isinstance(needed, list) else value == needed


def _is_data(name: str) -> bool:
    """Tell whether an argument is a data set: ``dataset``, or another for some of the runs, as ``vgg_dataset``."""
    return name.rpartition("_")[2] == DATASET


def data_of(chosen: Mapping[str, object]) -> dict[str, str]:
    """The data sets among chosen parameters, by the names of the arguments."""
    return {name: str(value) for name, value in chosen.items() if _is_data(name)}


def _kind(chapter: str, name: str, annotation: str) -> parameters.Kind:
    if _is_data(name):
        return parameters.text()  # `datasets.load` knows the data root, and refuses with the nearest right name
    if "bool" in annotation:
        return parameters.boolean()
    return kind_of(chapter, name, annotation)
