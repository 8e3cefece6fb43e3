"""Chapter 14: parameters -> its tables, at the quick scale by default."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import pandas as pd

from bnlab import checks
from bnlab.chapters.ch14_divergence import catapults, looks, runs
from bnlab.chapters.ch14_divergence.networks import BN, NONE
from bnlab.datasets import Dataset
from bnlab.sweeps.failures import refuse_failures
from bnlab.sweeps.limits import distinct, enough_images, rates_of_a_sweep
from bnlab.sweeps.sweep import grid, seeds_from, sweep

APART = 36  # layers between those of Figure 4


def parts(
    dataset: Dataset,
    depth: int = 110,
    batch_size: int = 64,
    looks_a_seed: int = 1,
    plain_steps: Sequence[float] = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3),
    bn_steps: Sequence[float] = (1e-2, 3e-2, 1e-1, 3e-1),
    update_rate: float = 1e-3,
    layer_step: int = 12,
    run_rates: Sequence[float] = (1e-3,),
    run_images: int = 32,
    run_steps: int = 200,
    depths: Sequence[int] = (8, 20, 56),
    depth_images: int = 8,
    depth_steps: int = 5,
    depth_arms: Sequence[str] = (NONE,),
    factor: float = 2.0,
    catapult_networks: Sequence[str] = ("MLP",),
    catapult_images: int = 32,
    catapult_steps: int = 200,
    multiples: Sequence[float] = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0),
    seeds: int = 5,
    seed: int = 0,
    folder: Path | None = None,
) -> dict[str, Callable[..., pd.DataFrame]]:
    """Tables of chapter 14 by name, each with the function that makes it; it takes `sweep`'s executor and progress.

    Args:
        dataset: 32 x 32 images.
        depth: layers of the ResNet that is looked at, 6n + 2, at least 98 so that layer 80 has others after it.
        batch_size: images of a mini-batch there.
        looks_a_seed: mini-batches on which each seed's networks are looked at.
        plain_steps: sizes of the steps along the gradient without Batch Normalization.
        bn_steps: and with it.
        update_rate: learning rate of the diverging update, one of ``plain_steps``: the smaller ones are on its way.
        layer_step: layers from one that is looked at there to the next; it divides 36, so that 8, 44 and 80 are met.
        run_rates: learning rates of the runs that are to diverge.
        run_images: images of a mini-batch there.
        run_steps: gradient steps of a run, and after it has diverged.
        depths: of the ResNets whose largest stable rate is looked for.
        depth_images: images of a mini-batch there.
        depth_steps: gradient steps that a rate has to survive.
        depth_arms: "none", "BN" or both.
        factor: between the largest rate that survived and the smallest that was lost.
        catapult_networks: names of `catapults.NETWORKS`.
        catapult_images: images that these descend on.
        catapult_steps: gradient steps there.
        multiples: c of the rates c / lambda_0.
        seeds: paired networks, from ``seed`` on.
        seed: the first.
        folder: keeps finished runs, so that a killed recording goes on.

    Raises:
        ValueError: a size below 1, a rate that is not positive or there twice, a layer step that does not divide 36, an
            unknown arm or network, an update that is no step, or fewer images than a mini-batch.
    """
    _refuse(dict(locals()))
    every = seeds_from(seed, seeds)
    look = partial(
        looks.look, dataset=dataset, depth=depth, images=batch_size, middle=depth // 2, layer_step=layer_step,
        plain_steps=tuple(plain_steps), bn_steps=tuple(bn_steps), rate=update_rate,
    )  # fmt: skip
    shared = _Shared(partial(_table, grid(batch=list(range(looks_a_seed)), seed=every, arm=[NONE, BN]), look, folder))
    train = partial(runs.run, dataset=dataset, depth=depth, images=run_images, steps=run_steps)
    border = partial(runs.stable_rate, dataset=dataset, images=depth_images, steps=depth_steps,
                     lowest=1e-7, highest=100.0, factor=factor)  # fmt: skip
    fly = partial(catapults.phases, dataset=dataset, images=catapult_images, multiples=tuple(multiples),
                  steps=catapult_steps)  # fmt: skip
    flights = grid(network=list(catapult_networks), loss=list(catapults.LOSSES), seed=every)
    return {
        **{name: partial(_only, shared, name) for name in looks.UNITS},
        "runs": partial(_table, grid(rate=list(run_rates), seed=every), train, folder),
        "depths": partial(
            _table, grid(arm=list(depth_arms), depth=sorted(depths, reverse=True), seed=every), border, folder
        ),
        "catapults": partial(_table, flights, fly, folder),
    }


def _refuse(given: Mapping[str, object]) -> None:
    """Refuse arguments of `parts` that cannot be run, by their names, before anything runs."""
    counted = ("batch_size", "looks_a_seed", "layer_step", "run_images", "run_steps", "depth_images", "depth_steps",
               "catapult_images", "catapult_steps")  # fmt: skip
    for name in counted:
        checks.whole(name, given[name])
    for name in ("plain_steps", "bn_steps", "run_rates"):
        rates_of_a_sweep(name, list(given[name]))
    for name in ("depths", "multiples"):
        distinct(name, list(given[name]))
    for name, known in (("depth_arms", (NONE, BN)), ("catapult_networks", catapults.NETWORKS)):
        distinct(name, list(given[name]))
        for value in given[name]:
            checks.choice(name, value, known)
    rate, steps, layers = given["update_rate"], list(given["plain_steps"]), given["layer_step"]
    if rate not in steps:
        raise ValueError(f"update_rate: {rate:g} is not one of plain_steps, {steps}")
    if APART % layers:
        raise ValueError(f"layer_step: {layers} does not divide {APART}, the layers from 8 to 44 and 80")
    looked_at = given["batch_size"] * given["looks_a_seed"]
    enough_images(given["dataset"], max(looked_at, *(given[f"{name}_images"] for name in ("run", "depth", "catapult"))))


class _Shared:
    """A table from which several parts are cut, made once."""

    def __init__(self, make: Callable[..., pd.DataFrame]):
        self._make, self._made = make, None

    def __call__(self, **how: object) -> pd.DataFrame:
        if self._made is None:
            self._made = self._make(**how)
        return self._made


def _only(shared: _Shared, name: str, **how: object) -> pd.DataFrame:
    return looks.only(shared(**how), name)


def _table(
    points: list, run: Callable, folder: Path | None, executor: Executor | None = None, progress: bool = True
) -> pd.DataFrame:
    """Run the points; a table of complete runs, without the column that says so."""
    made = sweep(points, run, folder=folder, executor=executor, progress=progress)
    refuse_failures(made)
    return made.drop(columns="status")
