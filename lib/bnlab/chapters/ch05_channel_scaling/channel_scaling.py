"""Chapter 05, channel scaling: R of LeNet's second convolution before and after its channels are normalised.

`parts` names the chapter's tables on networks and what makes each; `run` makes them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial

import pandas as pd
import torch
from torch import Tensor

from bnlab.chapters.ch05_channel_scaling.second_layer import (
    CHANNELS,
    KERNEL,
    VIEWS,
    Layer,
    Specification,
    alive,
    channel_power,
    look,
    trained_lenet,
)
from bnlab.datasets import Dataset
from bnlab.measures.probes import input_autocorrelation, probe_images
from bnlab.tables import table
from bnlab.theory import channel_scaling as scaling
from bnlab.theory.modes import effective_eigenvalues, natural_modes

# The four networks of Chai et al. 2020, section 3.3, by their name in `models.norms`.
VARIANTS = {"Baseline": "none", "BatchNorm": "batch", "BN_Amplify": "amplify", "BN_Suppress": "suppress"}


def parts(
    dataset: Dataset,
    images: int = 500,
    epochs: int = 1,
    learning_rates: Sequence[float] = (0.001, 0.1),
    batch_size: int = 64,
    response_steps: int = 5,
    response_rate: float = 0.001,
    seeds: int = 5,
    seed: int = 0,
) -> dict[str, Callable[[], pd.DataFrame]]:
    """Tables of chapter 05 on networks by name, each with the function that makes it; the defaults are the quick scale.

    Args:
        dataset: trains the networks; its first-drawn training images are the probe.
        images: of the probe.
        epochs: passes over the data before the trained weights are looked at.
        learning_rates: of the convolution weights; all else learns at 0.1.
        batch_size: images a step.
        response_steps: steps after which the four variants are compared.
        response_rate: of the convolution weights in that comparison.
        seeds: how many, from ``seed`` on, of weights and order of batches.
        seed: the first of them.

    Raises:
        ValueError: sizes that are not positive, or more images a batch than there are.
    """
    for name, value in {"images": images, "epochs": epochs, "seeds": seeds, "response_steps": response_steps}.items():
        if value < 1:
            raise ValueError(f"{name}: {value!r} is not at least 1")
    if batch_size > len(dataset.train_labels):
        raise ValueError(f"batch_size: {batch_size} is more than the {len(dataset.train_labels)} training images")
    probe = probe_images(dataset, images)
    first = Specification("none", 0.0, seed)
    every = [Specification("none", 0.0, s) for s in range(seed, seed + seeds)]
    every += [Specification(n, r, w.seed) for n in ("none", "batch") for r in learning_rates for w in every[:seeds]]

    @cache  # every table looks at the same networks
    def layer(weights: Specification) -> Layer | None:
        steps = epochs * (len(dataset.train_labels) // batch_size)
        model, diverged = trained_lenet(weights, dataset, steps, batch_size)
        return None if diverged else look(model, weights.norm, probe)

    def kept() -> list[Specification]:
        return [weights for weights in every if layer(weights) is not None]

    return {
        "networks": lambda: networks(every, layer),
        "blocks": lambda: block_map(layer(first)),
        "channels": lambda: channel_powers(kept(), layer),
        "spectra": lambda: spectra(kept(), layer),
        "participation": lambda: participations(kept(), layer),
        "summary": lambda: summary(kept(), layer),
        "centring": lambda: centring(kept(), layer),
        "responses": partial(
            responses, dataset, probe, response_steps, response_rate, batch_size, range(seed, seed + seeds)
        ),
    }


def run(dataset: Dataset, **parameters: object) -> dict[str, pd.DataFrame]:
    """Make all tables of `parts` with its parameters."""
    return {name: make() for name, make in parts(dataset, **parameters).items()}


def networks(every: Sequence[Specification], layer: Callable[[Specification], Layer | None]) -> pd.DataFrame:
    """Which networks the other tables look at: all but those whose training diverged."""
    rows = ((weights.name, weights.seed, int(layer(weights) is None)) for weights in every)
    return table(rows, {"weights": "name", "seed": "index", "diverged": "flag"})


def block_map(layer: Layer) -> pd.DataFrame:
    """Every entry of R, plain and scaled."""
    pairs = torch.stack([layer.R["plain"], layer.R["scaled"]], -1).flatten(0, 1).tolist()
    K = len(layer.R["plain"])
    rows = ((k // K, k % K, *pair) for k, pair in enumerate(pairs))
    return table(rows, {"row": "index", "column": "index", "plain": "power", "scaled": "power"})


def channel_powers(every: Sequence[Specification], layer: Callable[[Specification], Layer]) -> pd.DataFrame:
    """Power of each channel as it leaves conv1, and as it enters conv2 (plain and normalised)."""
    rows = []
    for weights in every:
        found = layer(weights)
        entering = [channel_power(found.R[view]) for view in ("plain", "normalised")]
        for channel, powers in enumerate(torch.stack([found.power, *entering], -1).tolist()):
            rows.append((weights.name, weights.seed, channel, *powers))
    units = {"weights": "name", "seed": "index", "channel": "index"}
    return table(rows, units | {"leaving": "power", "entering": "power", "entering_normalised": "power"})


def spectra(every: Sequence[Specification], layer: Callable[[Specification], Layer]) -> pd.DataFrame:
    """Eigenvalues of R in every view, and Ostrowski's bounds on those of the scaled one."""
    rows = []
    for weights in every:
        found = layer(weights)
        values = [torch.linalg.eigvalsh(found.R[view]) for view in VIEWS]  # each (K,), ascending
        values += scaling.eigenvalue_bounds(values[0], found.power.rsqrt())
        for rank, row in enumerate(torch.stack(values, -1).flip(0).tolist(), 1):
            rows.append((weights.name, weights.seed, rank, *row))
    units = {"weights": "name", "seed": "index", "rank": "1 = largest"} | dict.fromkeys(VIEWS, "power")
    return table(rows, units | {"low": "power", "high": "power"})


def participations(every: Sequence[Specification], layer: Callable[[Specification], Layer]) -> pd.DataFrame:
    """Participation of every channel in every eigenvector of the plain R."""
    rows = []
    for weights in every:
        shares = scaling.participation(natural_modes(layer(weights).R["plain"]).eigenvectors, CHANNELS).flip(0)
        for rank, row in enumerate(shares.tolist(), 1):
            rows += [(weights.name, weights.seed, rank, channel, share) for channel, share in enumerate(row)]
    units = {"weights": "name", "seed": "index", "rank": "1 = largest", "channel": "index", "participation": "1"}
    return table(rows, units)


def summary(every: Sequence[Specification], layer: Callable[[Specification], Layer]) -> pd.DataFrame:
    """Extreme eigenvalues of every view, how coherent its channels are, and their leverage on kappa.

    A last view, "best", has the channel gains of least kappa; it is left out where R is singular. ``leverage`` is half
    the sum of |d ln kappa / d ln d_i^2|, ``coherence`` the mean over pairs of channels. Channels without power are left
    out, ``dead_channels`` of them. ``floor`` is the kappa that no channel gains get below (`condition_floor`).
    """
    rows = []
    for weights in every:
        found = layer(weights)
        views = {view: alive(R) for view, R in found.R.items()}
        plain = views["plain"]
        if not effective_eigenvalues(plain).dead_modes:
            best = scaling.best_gains(plain, len(plain) // KERNEL**2)
            views["best"] = scaling.scale_channels(plain, best.gains)
        for view, R in views.items():
            channels, spectrum = len(R) // KERNEL**2, effective_eigenvalues(R)
            pairs = scaling.coherence(R, channels)[*torch.triu_indices(channels, channels, 1)]
            leverage = scaling.condition_slopes(R, channels).abs().sum().item() / 2
            numbers = [spectrum.largest, spectrum.smallest, spectrum.condition_number, spectrum.dead_modes]
            numbers += [CHANNELS - channels, scaling.condition_floor(R, channels), leverage, pairs.mean().item()]
            rows.append((weights.name, weights.seed, view, *numbers))
    units = {"weights": "name", "seed": "index", "view": "name", "lambda_max": "power", "lambda_min": "power"}
    units |= {"kappa": "1", "dead_modes": "modes", "dead_channels": "channels", "floor": "1"}
    return table(rows, units | {"leverage": "1", "coherence": "1"})


def centring(every: Sequence[Specification], layer: Callable[[Specification], Layer]) -> pd.DataFrame:
    """What taking the mean patch m out of the plain R does to its eigenvalues.

    ``above`` and ``below``: the largest excess, in units of lambda_max, of lambda_k(R - mm^T) over lambda_k(R), and of
    lambda_{k-1}(R) over it: at most rounding. ``largest_left``: lambda_max(R - mm^T) / lambda_max(R).
    """
    rows = []
    for weights in every:
        found = layer(weights)
        R = found.R["plain"]
        before, centred = torch.linalg.eigvalsh(R), torch.linalg.eigvalsh(R - torch.outer(found.mean, found.mean))
        above, below = (centred - before).max() / before[-1], (before[:-1] - centred[1:]).max() / before[-1]
        left = centred[-1] / before[-1]
        rows.append((weights.name, weights.seed, above.item(), below.item(), left.item()))
    units = {"weights": "name", "seed": "index", "above": "lambda_max", "below": "lambda_max"}
    return table(rows, units | {"largest_left": "1"})


def _input_autocorrelation(model: torch.nn.Module, probe: Tensor, layer: str) -> Tensor:
    """R of a layer's input; all nan where a diverged network's input is not finite."""
    try:
        return input_autocorrelation(model, probe, layer)
    except ValueError:
        side = model.get_submodule(layer).weight[0].numel()
        return torch.full((side, side), torch.nan, dtype=torch.float64, device=probe.device)


def responses(
    dataset: Dataset, probe: Tensor, steps: int, rate: float, batch_size: int, seeds: Sequence[int]
) -> pd.DataFrame:
    """Distance of R of either convolution's input from the Baseline's, after a few steps of each variant.

    ``distance`` is relative, infinite where a diverged network is not finite; ``identical`` says bit for bit.
    """
    rows = []
    for seed in seeds:
        baseline = {}
        for variant, norm in VARIANTS.items():
            model, _ = trained_lenet(Specification(norm, rate, seed), dataset, steps, batch_size)
            for name in ("conv1", "conv2"):
                R = _input_autocorrelation(model, probe, name)
                known = baseline.setdefault(name, R)
                distance = ((R - known).norm() / known.norm()).nan_to_num(torch.inf, torch.inf).item()
                rows.append((seed, variant, name, distance, int(torch.equal(R, known))))
    units = {"seed": "index", "variant": "name", "layer": "name", "distance": "1", "identical": "flag"}
    return table(rows, units)
