"""Run a chapter's experiment at full scale, without Jupyter, and keep the result with its provenance.

An experiment module offers ``parts(...)``: the chapter's tables by name, each with the function that makes it. A part
is kept as soon as it is finished, so a recording killed at any moment loses at most the part in flight, and running it
again goes on from there to the same numbers (`records.keys` says what names them). An experiment of many single runs
takes a ``folder`` besides, and keeps each of them there.
"""

import inspect
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from bnlab.commands import parameters
from bnlab.commands.parts import finish, say
from bnlab.commands.presets import Preset, RecordingError, choose, data_of, read_preset, scale_of
from bnlab.records import experiments, keys, provenance, recorded
from bnlab.records.arithmetic import Arithmetic, engine_of, fixed
from bnlab.records.changes import explained, read_changes
from bnlab.records.files import LockedError, locked
from bnlab.sweeps.stopping import stopping


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


def record(
    chapter: str,
    given: Mapping[str, object],
    *,
    preset: str = "paper",
    device: str = "auto",
    data_root: Path | None = None,
    folder: Path,
    force: bool = False,
    dirty: bool = False,
    replace: bool = False,
    scheduler: str = "",
) -> Path:
    """Run the experiment of a chapter with a preset's parameters, overridden by ``given``, and save its tables.

    Args:
        chapter: its number.
        given: parameters besides the preset's.
        preset: a folder of ``book/presets``.
        device: "auto", "cpu" or "cuda"; the data are loaded there.
        data_root: where the data sets are.
        folder: ``data/recorded``. A recording that is not of the document's scale goes into ``own/`` in it.
        force: record again what is already recorded.
        dirty: record with a library that is not committed; the page then says so.
        replace: put a recording with other parameters than the preset's in the place of the one that is there.
        scheduler: address of a Dask cluster that makes the single runs of a sweep; empty: this machine does.

    Returns:
        The folder with the result; an identical recording that is already there is not repeated.

    Raises:
        RecordingError: the chapter records nothing, the preset is missing or unreadable, the experiment refuses, the
            library is not committed, somebody else records the chapter, another recording would be replaced, or the
            cluster cannot be used.
        ParameterError: an unknown parameter or a wrong type.
    """
    number = known_chapter(chapter)
    wanted = read_preset(number, preset)
    experiment = import_module(experiments.module_name(number)).parts
    chosen = choose(experiment, {**wanted.values, **given})
    scale = scale_of(experiment, chosen, wanted)
    where = parameters.usable("device", device, parameters.device())
    _refuse_scheduler(scheduler, number, experiment, where)
    with fixed(where), stopping():
        plan = prepare(number, experiment, chosen, where, data_root)
        facts = {**_facts(plan, where), "scale": scale}
        if facts["commit"].endswith("+") and not dirty:
            raise RecordingError("the library was changed since its last commit: commit it, or say --dirty.")
        target = folder / number if scale == "full" else folder / "own" / f"{number}-{facts['key'][:12]}"
        with ExitStack() as stack:
            stack.enter_context(_alone(number, folder, target))
            if scheduler:
                stack.enter_context(_on_cluster(scheduler))
            if not _is_there(target, plan, wanted, replace, folder) or force:
                _work(plan, facts, folder, target)
    return target


@contextmanager
def _alone(number: str, folder: Path, target: Path) -> Iterator[None]:
    """Hold the chapter's lock, with the folder of the result made."""
    with ExitStack() as stack:
        try:
            lock = folder / ".partial" / f"{number}.lock"
            stack.enter_context(locked(lock, f"chapter {number} is being recorded"))
            target.mkdir(parents=True, exist_ok=True)
        except LockedError as error:
            raise RecordingError(str(error)) from None
        except OSError as error:
            reason = f"{folder} cannot be written ({error.strerror}): name a folder that can be."
            raise RecordingError(reason) from None
        yield


def _refuse_scheduler(address: str, number: str, experiment: Callable, device: str) -> None:
    if address and (device == "cuda" or "folder" not in inspect.signature(experiment).parameters):
        raise RecordingError(
            f"chapter {number} has no single runs on CPUs that a cluster could share: drop --scheduler."
        )


@contextmanager
def _on_cluster(address: str) -> Iterator[None]:
    from bnlab.sweeps.cluster import ClusterError, cluster
    from bnlab.sweeps.executors import offered

    with ExitStack() as stack:
        try:
            executor = stack.enter_context(cluster(address))
        except ClusterError as error:
            raise RecordingError(str(error)) from None
        with offered(executor):
            yield


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


def _facts(plan: Plan, device: str) -> dict[str, object]:
    """What the provenance will say, but for what only the work can tell."""
    return {
        "key": plan.key(),
        "chapter": plan.number,
        "parameters": plan.chosen,
        "data": plan.data,
        "sources": dict(plan.sources.hashes),
        "arithmetic": plan.arithmetic.facts(),
        **provenance.machine(device),
    }


def _is_there(target: Path, plan: Plan, wanted: Preset, replace: bool, folder: Path) -> bool:
    """Tell whether the very recording is there; refuse to put one with other parameters in its place unasked.

    Raises:
        RecordingError: another one is there; or one that cannot be looked at.
    """
    try:
        known = recorded.read(target)
    except recorded.UnreadableError as error:
        raise RecordingError(str(error)) from None
    except recorded.RecordedError:
        say(f"chapter {plan.number}: the result that is there is damaged, it is recorded again.")
        return False
    if known is None:
        return False
    facts = known.provenance
    if facts["sources"] and facts["key"] == plan.key(facts["sources"]):
        rows = explained(facts["sources"], plan.sources.hashes, read_changes(folder, plan.number))
        # An explained change may have added a table, which moved no number of those that are there.
        if rows is not None and set(_parts(plan, folder)) <= set(known.tables):
            say(f"chapter {plan.number}: already recorded with these parameters, this library and these data.")
            return True
    if facts["parameters"] != plan.chosen and plan.chosen != choose(plan.experiment, wanted.values) and not replace:
        remedy = "say --replace to put this one in its place, or -o FOLDER to put it elsewhere"
        raise RecordingError(f"{target} holds a recording with other parameters: {remedy}.")
    return False


def _parts(plan: Plan, folder: Path) -> Mapping[str, Callable]:
    """The tables by name, each with what makes it.

    Raises:
        RecordingError: the experiment refuses, before any work; what a part raises keeps its traceback.
    """
    arguments = dict(plan.arguments)
    if "folder" in inspect.signature(plan.experiment).parameters:  # it keeps single runs as well
        arguments["folder"] = folder / ".partial" / "runs"
    try:
        return plan.experiment(**arguments)
    except ValueError as error:
        raise RecordingError(f"chapter {plan.number}: {error}") from None


def _work(plan: Plan, facts: Mapping[str, object], folder: Path, target: Path) -> None:
    partial = folder / ".partial" / f"{plan.number}-{facts['key'][:16]}"
    done = finish(_parts(plan, folder), partial, plan.sources)
    recorded.save(
        target,
        {name: part.content for name, part in done.items()},
        {
            **facts,
            "seconds": round(sum(part.seconds for part in done.values()), 1),
            "part_seconds": {name: round(part.seconds, 1) for name, part in done.items()},
            "units": {name: part.units for name, part in done.items()},
        },
    )
    shutil.rmtree(partial, ignore_errors=True)


def _load(name: str, size: int | None, data_root: Path | None, device: str):
    from bnlab import datasets  # late: an experiment without data needs neither torchvision nor scikit-learn

    try:
        return datasets.load(name, root=data_root, size=size, device=device)
    except datasets.DatasetError as error:
        raise RecordingError(str(error)) from None
