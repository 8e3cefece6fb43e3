"""Which property of Batch Normalization lets a network survive large rates, and does a warm-up do as much?

Six arms differ in what goes forward and what comes back through their normalisation. The rate of conv1, of conv2 or of
both goes up in octaves until all seeds are lost at one rate; with both swept once more where biases, gamma and beta do
not learn. Around each arm's edge the runs are then made again ten times as long; the octaves of these are settled by
the rule of `around_the_edge`, before any of them runs. What survival is worth is told by twins whose convolutions never
learn. ``warm_up`` raises the rate of the plain network linearly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import pandas as pd

from bnlab import checks
from bnlab.chapters.ch06_speed_and_stability.filter_steps import ForwardPower
from bnlab.chapters.ch06_speed_and_stability.survival_runs import finished, point, run_batched, run_point
from bnlab.datasets import Dataset
from bnlab.measures.probes import SplitError, probe_images
from bnlab.sweeps import sweep as sweeps
from bnlab.sweeps.failures import refuse_failures
from bnlab.sweeps.limits import distinct
from bnlab.sweeps.points import OTHERS, Setting, sweep_on

# By the registry's names: power controlled? gradient shrinks as weights grow? orthogonal to them?
ARMS = (
    "none",  # no, no, no
    "gain_channel",  # no, no, no; but begins with the power and the gain of the four below
    "weight_norm",  # no, yes, yes
    "batch_frozen_gain",  # yes, no, no
    "batch_detached",  # yes, yes, no
    "batch",  # yes, yes, yes
)
SWEPT = ("both", "conv1", "conv2")
OFFSETS = (-2, -1, 0, 1)  # octaves from an arm's edge at which it runs long
AT_ONCE = 3  # octaves that run before it is asked who is lost
LOST = 0.8  # a test error above this is that of a network that only guesses
SURVIVAL_IMAGES = 500  # on which survivors are told from the lost
PROBE_IMAGES = 128
HE = 6**0.5  # times PyTorch's default weights are He's
KEYS = ["norm", "gain", "warm_up", "swept", "learns"]  # what names an arm in a point


def parts(
    dataset: Dataset,
    seed: int,
    steps: int,
    survival_octaves: Sequence[int],
    survival_seeds: int,
    survival_long_steps: int,
    warm_up_octaves: Sequence[int],
    warm_up_lengths: Sequence[int],
    warm_up_seeds: int,
) -> dict[str, Callable[..., pd.DataFrame]]:
    """``survival`` and ``warm_up``, each with the function that makes it; 0 seeds leave one out.

    Raises:
        ValueError: octaves that do not follow one another, steps or lengths out of range; before anything runs.
    """
    made: dict[str, Callable[..., pd.DataFrame]] = {}
    if survival_seeds:
        _in_order("survival_octaves", survival_octaves)
        checks.whole("survival_long_steps", survival_long_steps, least=steps)
        seeds = sweeps.seeds_from(seed, survival_seeds)
        made["survival"] = partial(survival, dataset, survival_octaves, seeds, steps, survival_long_steps)
    if warm_up_seeds:
        _in_order("warm_up_octaves", warm_up_octaves)
        distinct("warm_up_lengths", warm_up_lengths)
        lengths = [checks.whole("warm_up_lengths", length) for length in warm_up_lengths]
        seeds = sweeps.seeds_from(seed, warm_up_seeds)
        made["warm_up"] = partial(warm_up, dataset, warm_up_octaves, seeds, steps, lengths)
    return made


def _in_order(name: str, octaves: Sequence[int]) -> None:
    distinct(name, octaves)
    if list(octaves) != list(range(octaves[0], octaves[0] + len(octaves))):
        raise ValueError(f"{name} = {octaves!r} must be whole numbers, each one above the one before")


def survival(
    dataset: Dataset,
    octaves: Sequence[int],
    seeds: Sequence[int],
    steps: int,
    long_steps: int = 0,
    *,
    arms: Sequence[str] = ARMS,
    swept: Sequence[str] = SWEPT,
    fixed: Sequence[str] = ARMS,
    folder: Path | sweeps.Sample | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Runs of ``steps`` at rates of 2 to the ``octaves``, upwards, and of ``long_steps`` (0: none) around each edge.

    One row a run and recorded step. The arms of ``fixed`` run once more, both convolutions swept, with ``learns``
    "weights". ``swept`` "neither" are the twins: convolution weights never learn (their rate in the table means
    nothing), recorded at initialisation too.
    """
    how = {"folder": folder, "executor": executor, "progress": progress}
    groups = [{"norm": norm, "swept": place} for norm in arms for place in swept]
    still = [{"norm": norm, "learns": "weights"} for norm in fixed]
    run = partial(_sweep, setting=_setting(dataset, (steps,)), **how)
    found = upwards(groups + still, octaves, seeds, steps, run)
    points = [point({"norm": norm, "swept": "neither"}, OTHERS, seed, long_steps or steps)
              for norm in arms for seed in seeds]  # fmt: skip
    points += [point({**group, "swept": "neither"}, OTHERS, seed, steps) for group in still for seed in seeds]
    watched = partial(_sweep, setting=_setting(dataset, (0, 1, steps)), **how)
    tables = [found, watched(points)]
    if long_steps and not isinstance(folder, sweeps.Sample):  # what is drawn knows no edge
        first = {number: around_the_edge(found, group, octaves) for number, group in enumerate(groups)}
        tables.append(outwards(groups, first, octaves, seeds, long_steps, watched))
    return finished(pd.concat(tables, ignore_index=True), drop=("gain", "warm_up"))


def warm_up(
    dataset: Dataset,
    octaves: Sequence[int],
    seeds: Sequence[int],
    steps: int,
    lengths: Sequence[int],
    *,
    others: Sequence[str] = ("batch", "layer", "he"),
    folder: Path | sweeps.Sample | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """The plain network after linear warm-ups of these ``lengths``, then ``steps`` at the full rate; others without.

    The others (the plain network, and "batch", "layer" or "he") run as long as the longest and are recorded where each
    of the warmed-up ones ends. One row a run and recorded step, rates upwards as in `survival`.
    """
    ends = sorted(steps + length for length in lengths)
    run = partial(_sweep, setting=_setting(dataset, (steps, *ends)), folder=folder, executor=executor,
                  progress=progress)  # fmt: skip
    looks = {"batch": {"norm": "batch"}, "layer": {"norm": "layer"}, "he": {"gain": HE}}
    found = [upwards([{}, *(looks[name] for name in others)], octaves, seeds, ends[-1], run)]
    found += [upwards([{"warm_up": length}], octaves, seeds, steps + length, run) for length in lengths]
    return finished(pd.concat(found, ignore_index=True), drop=("swept", "learns"))


def upwards(
    groups: Sequence[Mapping[str, object]],
    octaves: Sequence[int],
    seeds: Sequence[int],
    steps: int,
    run: partial,
) -> pd.DataFrame:
    """Run groups at rates of 2 to the octaves from low to high, each until all its seeds are lost at one rate.

    Where ``run`` draws a few points only, the first octaves alone: what lies higher need not have been recorded.
    """
    tables, going, rates = [], list(groups), [2.0**octave for octave in sorted(octaves)]
    for start in range(0, len(rates), AT_ONCE):
        here = rates[start : start + AT_ONCE]
        points = [point(group, rate, seed, steps) for group in going for rate in here for seed in seeds]
        tables.append(run(points))
        made = pd.concat(tables, ignore_index=True)
        going = [group for group in going if not _ends(made, group).groupby("learning_rate")["lost"].all().any()]
        if not going or isinstance(run.keywords["folder"], sweeps.Sample):
            break
    return pd.concat(tables, ignore_index=True)


def around_the_edge(found: pd.DataFrame, group: Mapping[str, object], octaves: Sequence[int]) -> list[int]:
    """Octaves of the grid at `OFFSETS` from the (lower) median over the seeds of the largest that was survived.

    A seed that survived none counts as one octave below the grid.
    """
    ends = _ends(found, group)
    edges = []
    for _, runs in ends.groupby("seed"):
        lost = runs.sort_values("learning_rate")["lost"].tolist()
        survived = lost.index(True) if True in lost else len(lost)
        edges.append(sorted(octaves)[survived - 1] if survived else min(octaves) - 1)
    middle = sorted(edges)[(len(edges) - 1) // 2]
    return [middle + offset for offset in OFFSETS if middle + offset in set(octaves)]


def outwards(
    groups: Sequence[Mapping[str, object]],
    first: Mapping[int, Sequence[int]],
    octaves: Sequence[int],
    seeds: Sequence[int],
    steps: int,
    run: partial,
) -> pd.DataFrame:
    """Run groups at the ``first`` octaves of each, then at more until they bracket the edge of every seed.

    That is: every seed survives the lowest of them, and none survives all; or the grid ends there.

    Args:
        groups: what differs from the plain network.
        first: octaves by place among the groups.
        octaves: the grid.
        seeds: of every group.
        steps: gradient steps of a run.
        run: makes the runs of points.
    """
    tables, wanted, done = [], dict(first), {place: set() for place in first}
    while any(wanted.values()):
        asked = [(groups[place], octave) for place, more in wanted.items() for octave in more]
        tables.append(run([point(group, 2.0**octave, seed, steps) for group, octave in asked for seed in seeds]))
        made = pd.concat(tables, ignore_index=True)
        for place, more in wanted.items():
            done[place] |= set(more)
            wanted[place] = _beyond(_ends(made, groups[place]), done[place], octaves) if more else []
    return pd.concat(tables, ignore_index=True)


def _beyond(ends: pd.DataFrame, done: set[int], octaves: Sequence[int]) -> list[int]:
    """Octaves of the grid next to those that were run, on the sides where the edge of a seed is not among them."""
    lost = ends.pivot(index="seed", columns="learning_rate", values="lost").astype(bool)  # rates upwards
    below, above = lost.iloc[:, 0].any(), (~lost).all(axis=1).any()
    lower = range(min(done) - AT_ONCE, min(done)) if below else ()
    higher = range(max(done) + 1, max(done) + 1 + AT_ONCE) if above else ()
    return [octave for octave in (*lower, *higher) if octave in set(octaves)]


def _ends(found: pd.DataFrame, group: Mapping[str, object]) -> pd.DataFrame:
    """Last record of every run of a group, and whether the network was ``lost``: diverged, or it only guesses."""
    whole = point(group, OTHERS, 0, 1)
    named = {name: whole[name] for name in (*KEYS, *group)}
    rows = found[(found[list(named)] == pd.Series(named)).all(axis=1)]
    last = rows.loc[rows.groupby(["learning_rate", "seed"])["step"].idxmax()]
    return last.assign(lost=last["diverged"].astype(bool) | ~(last["test_error"] <= LOST))


def _setting(dataset: Dataset, record_at: tuple[int, ...]) -> Setting:
    few = dataset.subset(test=min(SURVIVAL_IMAGES, len(dataset.test_labels)))
    watched = {"power": ForwardPower(probe_images(dataset, PROBE_IMAGES)), "test": SplitError(few)}
    return Setting(dataset, record_at[-1], record_at, watched)


def _sweep(points: list[dict], *, setting: Setting, **how) -> pd.DataFrame:
    return refuse_failures(sweep_on(points, run_point, run_batched, setting, **how))
