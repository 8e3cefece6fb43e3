"""Run a chapter's experiment at full scale, without Jupyter, and keep the result with its provenance.

An experiment module offers ``parts(...)``: the chapter's tables by name, each with the function that makes it. A part
is kept as soon as it is finished, so a recording killed at any moment loses at most the part in flight, and running it
again goes on from there to the same numbers (`records.keys` says what names them). An experiment of many single runs
takes a ``folder`` besides, and keeps each of them there.
"""

import inspect
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path

from bnlab.commands import parameters
from bnlab.commands.parts import finish, say
from bnlab.commands.plan import Plan, known_chapter, prepare
from bnlab.commands.presets import Preset, RecordingError, choose, read_preset, scale_of
from bnlab.commands.staying import Staying, stands, staying
from bnlab.records import experiments, provenance, recorded
from bnlab.records.arithmetic import fixed
from bnlab.records.files import LockedError, locked
from bnlab.records.provenance import PART_COMMITS
from bnlab.sweeps.stopping import stopping


def record(
    chapter: str,
    given: Mapping[str, object],
    *,
    preset: str = "paper",
    device: str = "auto",
    data_root: Path | None = None,
    folder: Path,
    again: Sequence[str] | None = None,
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
        again: parts to make again though they are recorded; empty: all. None: those alone that are not recorded.
        dirty: record with a library that is not committed; the page then says so.
        replace: put a recording with other parameters than the preset's in the place of the one that is there.
        scheduler: address of a Dask cluster that makes the single runs of a sweep; empty: this machine does.

    Returns:
        The folder with the result; an identical recording that is already there is not repeated.

    Raises:
        RecordingError: the chapter records nothing, the preset is missing or unreadable, the experiment refuses, the
            library is not committed, somebody else records the chapter, it has no part of a name, another recording
            would be replaced, or the cluster cannot be used.
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
            _make_what_is_missing(plan, facts, folder, target, again, None if replace else wanted)
    return target


def _make_what_is_missing(
    plan: Plan,
    facts: Mapping[str, object],
    folder: Path,
    target: Path,
    again: Sequence[str] | None,
    wanted: Preset | None,
) -> None:
    """Make the parts that are not recorded yet, and those of ``again``.

    ``wanted``: the preset whose parameters alone may take the place of others; None: any may.
    """
    known, parts = _read(target, plan.number), _parts(plan, folder)
    _refuse_unknown(again, parts, plan.number)
    standing = known is not None and stands(known, plan, folder)
    # An explained change may have added a table, which moved no number of those that are there.
    if standing and again is None and set(parts) <= set(known.tables):
        say(f"chapter {plan.number}: already recorded with these parameters, this library and these data.")
        return
    if known is not None and not standing and wanted is not None:
        _refuse_another(known, target, plan, wanted)
    stay = staying(known, target, facts, parts, again) if standing else Staying()
    _refuse_all(again, parts, stay, plan.number)
    _work(plan, parts, facts, folder, target, stay)


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


def _read(target: Path, number: str) -> recorded.Recorded | None:
    """Read the recording that is there; None where there is none, or a damaged one.

    Raises:
        RecordingError: one is there that cannot be looked at.
    """
    try:
        return recorded.read(target)
    except recorded.UnreadableError as error:
        raise RecordingError(str(error)) from None
    except recorded.RecordedError:
        say(f"chapter {number}: the result that is there is damaged, it is recorded again.")
        return None


def _refuse_another(known: recorded.Recorded, target: Path, plan: Plan, wanted: Preset) -> None:
    """Refuse to put a recording with other parameters than the preset's in the place of one that has others."""
    if known.provenance["parameters"] != plan.chosen and plan.chosen != choose(plan.experiment, wanted.values):
        remedy = "say --replace to put this one in its place, or -o FOLDER to put it elsewhere"
        raise RecordingError(f"{target} holds a recording with other parameters: {remedy}.")


def _refuse_unknown(again: Sequence[str] | None, parts: Mapping[str, Callable], number: str) -> None:
    for name in again or ():
        if name not in parts:
            raise RecordingError(f"chapter {number} has no part {name!r}: {', '.join(parts)}.")


def _refuse_all(again: Sequence[str] | None, parts: Mapping[str, Callable], stay: Staying, number: str) -> None:
    """Refuse to make hours of parts again where some were named, and the rest was to stay."""
    if again and not stay.parts and set(parts) > set(again):
        raise RecordingError(
            f"chapter {number}: nothing is recorded that could stay beside {', '.join(again)}, with these parameters, "
            "these data, this library (or explained changes) and this machine: say --force alone to make all parts."
        )


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


def _work(
    plan: Plan, parts: Mapping[str, Callable], facts: Mapping[str, object], folder: Path, target: Path, stay: Staying
) -> None:
    partial = folder / ".partial" / f"{plan.number}-{facts['key'][:16]}"
    done = finish(parts, partial, plan.sources, stay.parts)
    recorded.save(
        target,
        {name: part.content for name, part in done.items()},
        {
            **facts,
            "seconds": round(sum(part.seconds for part in done.values()), 1),
            "part_seconds": {name: round(part.seconds, 1) for name, part in done.items()},
            "units": {name: part.units for name, part in done.items()},
            **({PART_COMMITS: stay.commits} if stay.commits else {}),
        },
    )
    shutil.rmtree(partial, ignore_errors=True)
