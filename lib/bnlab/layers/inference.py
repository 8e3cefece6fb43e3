"""Batch Normalization at inference: one affine map a channel, foldable into the layer before it, and moving averages.

With the population's mean mu and variance s2 in place of a mini-batch's,

    y = gamma (x - mu) / sqrt(s2 + eps) + beta = a x + b,  a = gamma / sqrt(s2 + eps),  b = beta - a mu

(encyclopedia article, "Inference Phase"). mu and s2 usually are moving averages over the mini-batches of training,
running <- decay running + (1 - decay) batch; where they come from otherwise is in `population`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bnlab import checks
from bnlab.layers.batchnorm import BatchNorm

BATCH_NORM_TYPES = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, BatchNorm)
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Affine:
    """The map y = scale x + shift of each channel, float64."""

    scale: Tensor  # (C,)
    shift: Tensor  # (C,)


@torch.no_grad()
def inference_affine(norm: nn.Module) -> Affine:
    """The affine map that a Batch Normalization layer is in eval mode: a = gamma / sqrt(s2 + eps), b = beta - a mu.

    In float64, whatever the layer's dtype. A channel of variance 0 has a = gamma / sqrt(eps).

    >>> norm = nn.BatchNorm1d(1, eps=0.0)
    >>> norm.running_mean.fill_(3.0), norm.running_var.fill_(4.0)
    (tensor([3.]), tensor([4.]))
    >>> map = inference_affine(norm)
    >>> map.scale.item(), map.shift.item()
    (0.5, -1.5)

    Raises:
        ValueError: not a Batch Normalization layer (an input-dependent one, such as `ThresholdNorm`, is no fixed affine
            map), one without running statistics, or statistics from which no finite map follows, with the channel.
    """
    if not isinstance(norm, BATCH_NORM_TYPES):
        raise ValueError(f"norm: {type(norm).__name__} is not a Batch Normalization layer, such as nn.BatchNorm2d")
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("norm: it keeps no running statistics; build it with track_running_stats=True")
    mean, variance = norm.running_mean.double(), norm.running_var.double()  # (C,)
    gamma = torch.ones_like(mean) if norm.weight is None else norm.weight.double()
    beta = torch.zeros_like(mean) if norm.bias is None else norm.bias.double()
    scale = gamma / (variance + norm.eps).sqrt()
    shift = beta - scale * mean
    bad = ~(scale.isfinite() & shift.isfinite()) | (variance < 0)  # a small negative one would pass thanks to eps
    if bad.any():
        channel = int(bad.nonzero()[0])
        raise ValueError(
            f"norm: channel {channel} has mean {mean[channel]:.3g}, variance {variance[channel]:.3g} and eps "
            f"{norm.eps:.3g}; no finite affine map follows from them"
        )
    return Affine(scale, shift)


@torch.no_grad()
def fold(layer: nn.Module, norm: nn.Module) -> nn.Module:
    """Fold eval-mode Batch Normalization into the layer that feeds it: W' = a W, bias' = a bias + b, a copy of layer.

    Exact for any stride, padding and groups, because a and b act on the *output* of the layer. (Folding into the layer
    that *follows* is not: its zero padding would have to be -b/a.) The products are formed in float64 and rounded once
    to the layer's dtype. The copy has a bias whether the layer had one or not; layer and norm stay as they are.

    >>> layer, norm = nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1, eps=0.0).eval()
    >>> _ = layer.weight.data.fill_(8.0), norm.running_mean.fill_(3.0), norm.running_var.fill_(4.0)
    >>> folded = fold(layer, norm)
    >>> folded.weight.item(), folded.bias.item()
    (4.0, -1.5)

    Raises:
        ValueError: a layer that is no `nn.Linear` or convolution (a transposed one included), or whose weight is
            computed at every pass (weight_norm, spectral_norm, other parametrisations); a norm in train mode, of other
            channels, or as in `inference_affine`; folded weights too large for the dtype.
    """
    if not isinstance(layer, LAYERS):
        raise ValueError(f"layer: {type(layer).__name__} is not nn.Linear or nn.Conv1d, nn.Conv2d, nn.Conv3d")
    if computed := [name for name in ("weight", "bias") if name not in layer._parameters]:
        raise ValueError(
            f"layer: its {computed[0]} is computed from other parameters at every pass (weight_norm, spectral_norm or "
            "another parametrisation); make it a plain one first, as with parametrize.remove_parametrizations"
        )
    if isinstance(norm, BATCH_NORM_TYPES) and norm.training:
        raise ValueError("norm: it is in train mode, where its map depends on the mini-batch; call norm.eval() first")
    affine = inference_affine(norm)
    weight, channels = layer.weight, len(layer.weight)
    if len(affine.scale) != channels:
        raise ValueError(f"norm: it has {len(affine.scale)} channels where the layer's output has {channels}")
    scale = affine.scale.to(weight.device)
    bias = affine.shift.to(weight.device)  # (OC,)
    if layer.bias is not None:
        bias = bias + scale * layer.bias.double()
    new = [(scale.view(-1, *(1,) * (weight.ndim - 1)) * weight.double()).to(weight.dtype), bias.to(weight.dtype)]
    if not all(values.isfinite().all() for values in new):
        raise ValueError(f"layer: folded, its weights or biases are not finite numbers of {weight.dtype}")
    folded = copy.deepcopy(layer)
    folded.weight, folded.bias = (nn.Parameter(values, requires_grad=weight.requires_grad) for values in new)
    return folded


def fold_network(model: nn.Module, pairs: Iterable[tuple[str, str]]) -> nn.Module:
    """Copy of a network in eval mode with each named (layer, norm) folded into one layer, the norm an `nn.Identity`.

    Which norm directly follows which layer stands in the network's forward, not in its modules, so the caller says it.
    For `models.lenet.LeNet`: ``fold_network(model, [("conv1", "norm1"), ("conv2", "norm2")])``.

    Raises:
        ValueError: a name that the network does not have, one named twice, or as in `fold`.
    """
    folded, named = copy.deepcopy(model).eval(), []
    for pair in pairs:
        for name in pair:
            if name in named:
                raise ValueError(f"pairs: {name!r} stands there twice")
            named.append(name)
        layer, norm = (_submodule(folded, name) for name in pair)
        _replace(folded, pair[0], fold(layer, norm))
        _replace(folded, pair[1], nn.Identity())
    return folded


def torch_momentum(decay: float) -> float:
    """PyTorch's ``momentum`` (weight of the *new* batch) for the documents' one (weight of the *old* average).

    >>> torch_momentum(0.75)
    0.25

    Raises:
        ValueError: not between 0 and 1.
    """
    return 1 - _checked(decay)


def moving_average_weights(decay: float, steps: int) -> Tensor:
    """What the moving average after ``steps`` batches consists of, (steps + 1,), float64: the start, then each batch.

        running_T = decay^T running_0 + (1 - decay) sum_t decay^(T - t) batch_t

    >>> moving_average_weights(0.5, 2)
    tensor([0.2500, 0.2500, 0.5000], dtype=torch.float64)

    Raises:
        ValueError: decay not between 0 and 1, or steps not a whole number of at least 0.
    """
    decay, steps = _checked(decay), checks.whole("steps", steps, 0)
    powers = torch.tensor(decay, dtype=torch.float64) ** torch.arange(steps, -1, -1)  # decay^T ... decay^0
    return torch.cat([powers[:1], (1 - decay) * powers[1:]])


def moving_average(batches: Tensor, start: Tensor, decay: float) -> Tensor:
    """Moving average after the last of the statistics ``batches`` (T, ...), from ``start`` (...), by the closed form.

    In float64. Any number of decays can be had of one training run in this way, since training does not depend on the
    average.

    >>> moving_average(torch.tensor([1.0]), torch.tensor(0.0), decay=0.75).item()
    0.25

    Raises:
        ValueError: start of another shape than each of the batches, an entry that is not real or not finite, or decay
            not between 0 and 1.
    """
    checks.tensor("batches", batches, "(T, ...)", half=True)
    checks.tensor("start", start, half=True)
    if batches.ndim < 1 or batches.shape[1:] != start.shape:
        shapes = f"{tuple(start.shape)} where each of the batches has {tuple(batches.shape[1:])}"
        raise ValueError(f"start: shape {shapes}")
    weights = moving_average_weights(decay, len(batches)).to(batches.device)  # (T + 1,)
    return torch.tensordot(weights, torch.cat([start[None], batches]).double(), dims=1)


def effective_batches(decay: float) -> float:
    """How many independent batches a plain mean would need to be as quiet as the moving average in the long run.

    Var(running) / Var(batch) = (1 - decay)^2 sum_k decay^(2k) = (1 - decay) / (1 + decay).

    >>> effective_batches(0.5)
    3.0

    Raises:
        ValueError: decay not between 0 and 1.
    """
    decay = _checked(decay)
    return math.inf if decay == 1 else (1 + decay) / (1 - decay)


def _checked(decay: float) -> float:
    return checks.number("decay", decay, least=0, most=1, hint="it weighs the old statistics, such as 0.9")


def _submodule(model: nn.Module, name: str) -> nn.Module:
    try:
        return model.get_submodule(name)
    except AttributeError:
        usable = [known for known, module in model.named_modules() if isinstance(module, LAYERS + BATCH_NORM_TYPES)]
        there = ", ".join(usable) or "none"
        raise ValueError(f"pairs: the network has no {name!r}; its layers and norms are {there}") from None


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
