"""Chapter 09: parameters -> the tables of its networks, at the quick scale by default."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import pandas as pd

from bnlab import checks
from bnlab.chapters.ch09_smoothness import landscapes, layer_hessians, rates, resnets
from bnlab.chapters.ch09_smoothness.networks import CONVOLUTIONAL, LINEAR, NORMS
from bnlab.datasets import Dataset
from bnlab.sweeps.failures import refuse_failures
from bnlab.sweeps.limits import enough_images, rates_of_a_sweep
from bnlab.sweeps.sweep import grid, seeds_from, sweep

BATCH = rates.BATCH


def parts(
    dataset: Dataset,
    common_rates: Sequence[float] = (0.1,),
    path_steps: int = 50,
    probe_every: int = 25,
    images: int = 24,
    pooled: int = 4,
    depths: Sequence[int] = (8, 14),
    width: int = 4,
    levels: Sequence[float] = (1.9,),
    most_steps: int = 300,
    inits: int = 20,
    stability_rates: Sequence[float] = (0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24),
    stability_steps: int = 15,
    seeds: int = 5,
    seed: int = 0,
    vgg_dataset: Dataset | None = None,
    folder: Path | None = None,
) -> dict[str, Callable[[], pd.DataFrame]]:
    """Tables of chapter 09 by name, each with the function that makes it; it takes `sweep`'s executor and progress.

    Args:
        dataset: 32 x 32 images.
        common_rates: learning rates at which both networks of a pair are probed, besides their own small ones.
        path_steps: gradient steps of these runs.
        probe_every: steps from one probe to the next.
        images: of the one batch that a loss is taken on.
        pooled: pixels a side that are averaged to one, for all networks but the VGG-like one.
        depths: of the ResNets.
        width: of their first stage.
        levels: losses (nats) at which their Hessians are looked at, besides the start.
        most_steps: gradient steps to get there.
        inits: draws of the weights of the small fully connected network.
        stability_rates: learning rates whose survival is tried.
        stability_steps: gradient steps that a rate must survive.
        seeds: paired runs, from ``seed`` on.
        seed: the first.
        vgg_dataset: 32 x 32 images of the VGG-like network; None: ``dataset``.
        folder: keeps finished runs, so that a killed recording goes on.

    Raises:
        ValueError: a rate that is not positive or there twice, a size or number below 1, or fewer images than asked.
    """
    sizes = {"path_steps": path_steps, "probe_every": probe_every, "images": images, "pooled": pooled, "width": width,
             "most_steps": most_steps, "inits": inits, "stability_steps": stability_steps}  # fmt: skip
    places = {LINEAR: dataset, CONVOLUTIONAL: vgg_dataset or dataset}
    _refuse(places.values(), {"common_rates": common_rates, "stability_rates": stability_rates}, sizes)
    both = {"norm": list(NORMS), "seed": seeds_from(seed, seeds)}
    walked = {"rule": landscapes.rules(common_rates)} | both
    shared = {"dataset": dataset, "images": images, "pooled": pooled}
    look = partial(resnets.curvatures, **shared, width=width, levels=tuple(levels), most=most_steps)
    walk = partial(landscapes.probes, images=images, pooled=pooled, steps=path_steps, every=probe_every)
    live = partial(rates.survival, dataset=places[CONVOLUTIONAL], steps=stability_steps, judged=images)
    sweeps = {
        "probes": [(grid(network=[name], **walked), partial(walk, dataset=data)) for name, data in places.items()],
        "curvatures": [(grid(depth=list(depths), **both), look)],
        "conditions": [(_blocks(both, seeds_from(seed, inits)), partial(layer_hessians.layer_conditions, **shared))],
        "level_lines": [(grid(**both), partial(layer_hessians.level_lines, **shared, most=path_steps))],
        "survival": [(grid(rate=list(stability_rates), **both), live)],
    }
    return {name: partial(_table, each, folder) for name, each in sweeps.items()}


def _blocks(both: Mapping[str, list], draws: list[int]) -> list[dict]:
    """The networks whose layers' Hessians are looked at: of the small one more draws of the weights."""
    return grid(network=["MLP"], **both | {"seed": draws}) + grid(network=["ResNet-8"], **both)


def _refuse(data: Iterable[Dataset], rates_by_name: Mapping[str, Sequence[float]], sizes: Mapping[str, int]) -> None:
    for name, values in rates_by_name.items():
        rates_of_a_sweep(name, list(values))
    for name, value in sizes.items():
        checks.whole(name, value)
    for each in data:
        enough_images(each, max(sizes["images"], BATCH))


def _table(
    sweeps: Sequence[tuple[list, Callable]], folder: Path | None, executor: Executor | None = None,
    progress: bool = True,
) -> pd.DataFrame:  # fmt: skip
    """Run the points of each sweep; one table of complete runs, without the column that says so."""
    made = [sweep(points, run, folder=folder, executor=executor, progress=progress) for points, run in sweeps]
    for each in made:
        refuse_failures(each)
    return pd.concat(made, ignore_index=True).drop(columns="status")
