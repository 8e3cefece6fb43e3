"""Population statistics for inference: estimated from mini-batches' statistics, or taken exactly over the training set.

The encyclopedia article ("Inference Phase") estimates mu = (1/T) sum_t mu_t and s2 = m/(m - 1) (1/T) sum_t s2_t from T
mini-batches of m values. The variance is right for independent values only: E[s2_t] = s2 - Var(mu_t), and m/(m - 1)
stands for Var(mu_t) = s2/m. Values of one feature map are not independent. `pooled_estimate` measures Var(mu_t)
instead, and `exact_statistics` needs no estimate at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bnlab import checks
from bnlab.layers.batchnorm import batch_statistics, check_values
from bnlab.layers.inference import BATCH_NORM_TYPES

Passes = Callable[[], Iterable[Tensor]]  # each call begins a new pass over the training images, batch by batch


@dataclass(frozen=True)
class Population:
    """Mean and unbiased variance of each channel, (C,), float64."""

    mean: Tensor
    variance: Tensor


def population_estimate(means: Tensor, variances: Tensor, m: int) -> Population:
    """The article's estimate from T mini-batches: mean of the means, m/(m - 1) times the mean of the biased variances.

    means and variances (T, C), of mini-batches of m values a channel (m = B H W for maps). Unbiased if these are
    independent; too small if they are positively correlated, as neighbouring pixels are.

    >>> estimate = population_estimate(torch.tensor([[0.0], [2.0]]), torch.tensor([[3.0], [3.0]]), m=4)
    >>> estimate.mean.item(), estimate.variance.item()
    (1.0, 4.0)

    Raises:
        ValueError: not two equal shapes (T, C) of finite real numbers, a negative variance, or m < 2: one value has no
            variance, and m/(m - 1) does not exist.
    """
    _check_statistics(means, variances, least=1)
    m = checks.whole("m", m, 2, hint="the values of a channel in a mini-batch")
    return Population(means.double().mean(0), variances.double().mean(0) * m / (m - 1))


def pooled_estimate(means: Tensor, variances: Tensor) -> Population:
    """Variance within mini-batches plus variance between them: mean_t s2_t + sum_t (mu_t - mu)^2 / (T - 1).

    means and variances (T, C). Unbiased whatever the correlation inside a mini-batch, as long as the mini-batches are
    independent of each other: E[s2_t] + Var(mu_t) = s2, the law of total variance, and m does not enter.

    >>> pooled_estimate(torch.tensor([[0.0], [2.0]]), torch.tensor([[3.0], [3.0]])).variance.item()
    5.0

    Raises:
        ValueError: as `population_estimate`, or fewer than two mini-batches.
    """
    _check_statistics(means, variances, least=2)
    return Population(means.double().mean(0), variances.double().mean(0) + means.double().var(0))


class RunningMoments:
    """Mean and variance of all values seen, batch after batch, in float64 by the merging rule of Chan et al. (1983).

    Like one pass over everything at once, up to rounding, and whatever the sizes of the batches.
    """

    def __init__(self):
        self.count, self.mean, self.sum_of_squares = 0, None, None

    @torch.no_grad()
    def add(self, x: Tensor) -> None:
        """Take in values (B, C) or (B, C, ...).

        Raises:
            ValueError: as `batch_statistics`.
        """
        check_values(x)
        fresh = batch_statistics(x.double())
        if self.count == 0:
            self.count, self.mean, self.sum_of_squares = fresh.count, fresh.mean, fresh.variance * fresh.count
            return
        total, step = self.count + fresh.count, fresh.mean - self.mean  # (C,)
        self.sum_of_squares += fresh.variance * fresh.count + step.square() * (self.count * fresh.count / total)
        self.mean += step * (fresh.count / total)
        self.count = total

    def population(self) -> Population:
        """Mean and unbiased variance of what was taken in.

        Raises:
            ValueError: fewer than two values a channel.
        """
        if self.count < 2:
            raise ValueError(f"batches: they hold {self.count} value(s) a channel; a variance needs two or more")
        return Population(self.mean, self.sum_of_squares / (self.count - 1))


class _ReachedError(Exception):
    """The layer under study has its input: the rest of the forward pass is not needed."""


@torch.no_grad()
def exact_statistics(model: nn.Module, passes: Passes) -> dict[str, Population]:
    """Set every Batch Normalization layer of a network to the exact statistics of its input over the training set.

    Layer by layer in the order of the forward pass, each with the layers before it already set and in eval mode, so
    that what is stored are the statistics of the very numbers that the layer will meet at inference; one pass over the
    training set a layer, up to that layer. They do not depend on how the set is cut into batches, as the average of
    batch statistics does (`averaged_statistics`). The model is changed in place and keeps its mode.

    Args:
        model: any network; its layers are the modules of `inference.BATCH_NORM_TYPES`.
        passes: a function whose every call gives the batches (B, ...) of a pass, on the model's device.

    Returns:
        What was set, by the layer's name, in the order of the forward pass.

    Raises:
        ValueError: no batches, no such layer, one without running statistics, one used twice in a forward pass (its
            input has no one population), one of which the batches have a single value, or statistics that are not
            finite (the network diverged).
    """
    found = {}
    with _modes(model, norms_training=False):
        for name, norm in _in_order(model, passes).items():
            moments = RunningMoments()

            def take(_, inputs, moments=moments):
                moments.add(inputs[0])
                raise _ReachedError

            handle = norm.register_forward_pre_hook(take)
            try:
                for images in passes():
                    with suppress(_ReachedError):
                        model(images)
            finally:
                handle.remove()
            population = moments.population()
            _check_finite(name, population.mean, population.variance)
            found[name] = _store(name, norm, population)
    return found


@torch.no_grad()
def averaged_statistics(model: nn.Module, passes: Passes) -> dict[str, Population]:
    """Set every Batch Normalization layer to the article's estimate over one pass, every layer normalising by batch.

    (Ioffe and Szegedy 2015, Algorithm 2.) The result depends on the size of the batches, twice: through spatial
    correlation, and because the layers before see batch statistics instead of the population's. Other than that, as
    `exact_statistics`; a last batch of another size is refused.

    Raises:
        ValueError: as `exact_statistics`, or batches of unequal sizes.
    """
    norms = _in_order(model, passes)
    seen: dict[str, list] = {name: [] for name in norms}

    def take(name):
        return lambda _, inputs: seen[name].append(batch_statistics(inputs[0].double()))

    handles = [norm.register_forward_pre_hook(take(name)) for name, norm in norms.items()]
    try:
        with _modes(model, norms_training=True):
            for images in passes():
                model(images)
    finally:
        for handle in handles:
            handle.remove()
    found = {}
    for name, parts in seen.items():
        if len(sizes := {part.count for part in parts}) > 1:
            raise ValueError(f"passes: batches of {sorted(sizes)} values a channel; the average needs equal ones")
        means, variances = (torch.stack([getattr(p, key) for p in parts]) for key in ("mean", "variance"))  # (T, C)
        _check_finite(name, means, variances)
        found[name] = _store(name, norms[name], population_estimate(means, variances, parts[0].count))
    return found


def _in_order(model: nn.Module, passes: Passes) -> dict[str, nn.Module]:
    order: list[str] = []
    norms = {name: module for name, module in model.named_modules() if isinstance(module, BATCH_NORM_TYPES)}
    if without := [name for name, norm in norms.items() if norm.running_mean is None]:
        raise ValueError(f"model: {without[0]!r} keeps no running statistics")
    handles = [norm.register_forward_pre_hook(lambda *_, name=name: order.append(name)) for name, norm in norms.items()]
    try:
        with _modes(model, norms_training=False):
            images = next(iter(passes()), None)
            if images is None:
                raise ValueError("passes: a call gave no batches; each call must begin a new pass")
            model(images)
    finally:
        for handle in handles:
            handle.remove()
    if not order:
        raise ValueError("model: no Batch Normalization layer takes part in its forward pass")
    if twice := [name for name in order if order.count(name) > 1]:
        raise ValueError(f"model: {twice[0]!r} is used more than once in a forward pass; it has no one population")
    return {name: norms[name] for name in order}


@contextmanager
def _modes(model: nn.Module, norms_training: bool) -> Iterator[None]:
    """Everything in eval mode (no dropout), the norms as asked, and afterwards as it was."""
    before = {module: module.training for module in model.modules()}
    for module in before:
        module.training = norms_training and isinstance(module, BATCH_NORM_TYPES)
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training


def _check_finite(name: str, means: Tensor, variances: Tensor) -> None:
    if not (means.isfinite().all() and variances.isfinite().all()):
        raise ValueError(f"model: the input of {name!r} is not finite on these batches; the network has diverged")


def _store(name: str, norm: nn.Module, population: Population) -> Population:
    norm.running_mean.copy_(population.mean)
    norm.running_var.copy_(population.variance)
    if norm.running_var.isinf().any():
        raise ValueError(f"model: the variance {population.variance.max():.3g} in {name!r} is beyond its float16")
    return population


def _check_statistics(means: Tensor, variances: Tensor, least: int) -> None:
    if means.ndim != 2 or means.shape != variances.shape or len(means) < least:
        shapes = f"{tuple(means.shape)} and {tuple(variances.shape)}"
        raise ValueError(f"means, variances: shapes {shapes} are not both (T, C) with T of at least {least}")
    for name, values in (("means", means), ("variances", variances)):
        checks.tensor(name, values, "(T, C)", half=True)
    if (variances < 0).any():
        raise ValueError(f"variances: {variances.min().item():.3g} is negative")
