"""The networks that chapter 08 compares: one MLP, and what each arm changes in its forward pass, gradient or loss.

Three things that Batch Normalization does together are taken apart: it pins the moments of what enters the next
nonlinearity; a weight's gradient is that of a normalised quantity, hence preconditioned; and the gradient passes
through the statistics of the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bnlab.layers.preconditioned_linear import PreconditionedLinear
from bnlab.layers.split_batchnorm import BackwardBatchNorm, DetachedBatchNorm
from bnlab.layers.step_noise import StepNoise
from bnlab.models.lsuv import lsuv_
from bnlab.models.mlp import MLP
from bnlab.randomness import generator

NONE, BN, DETACHED, GRADIENT_ONLY, BACKWARD_ONLY = (
    "none", "BN", "BN, statistics detached", "gradient preconditioned only", "BN's backward pass only",
)  # fmt: skip
NOISY, NOISE, PENALTY, PINNED, LSUV = (
    "BN, then noise", "noise alone", "moment penalty", "weights restandardised", "LSUV initialisation",
)  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """What an arm does of the three things."""

    pins: bool  # the moments of the inputs of the nonlinearities, at every step
    preconditions: bool  # the gradients of weights are those of a normalised quantity
    through: bool  # the gradient passes through the statistics of the batch


ARMS = {
    NONE: Arm(pins=False, preconditions=False, through=False),
    BN: Arm(pins=True, preconditions=True, through=True),
    DETACHED: Arm(pins=True, preconditions=True, through=False),
    PINNED: Arm(pins=True, preconditions=False, through=False),
    PENALTY: Arm(pins=True, preconditions=False, through=False),
    GRADIENT_ONLY: Arm(pins=False, preconditions=True, through=False),
    BACKWARD_ONLY: Arm(pins=False, preconditions=True, through=True),
    NOISY: Arm(pins=False, preconditions=True, through=True),
    NOISE: Arm(pins=False, preconditions=False, through=False),
    LSUV: Arm(pins=False, preconditions=False, through=False),
}

PENALTY_WEIGHT = 1.0  # nats for each layer whose units are one deviation off, in the mean or in the deviation


def network(
    arm: str, features: int, classes: int, *, depth: int, width: int, activation: str, seed: int, images: Tensor
) -> MLP:
    """Build the network of an arm; all arms but LSUV have the same initial weights (Glorot) at one seed.

    ``images`` (B, ...) are those on which LSUV and the restandardised weights are set.

    Raises:
        ValueError: an unknown arm, or a size that `models.mlp.MLP` refuses.
    """
    if arm not in ARMS:
        raise ValueError(f"arm: {arm!r} is not one of {', '.join(ARMS)}")
    net = MLP(features, classes, depth=depth, width=width, activation=activation, initialisation="xavier",
              generator=generator(seed, "weights"))  # fmt: skip
    for layer in range(depth):
        net.after[layer] = _after(arm, width, seed, layer)
        if arm == GRADIENT_ONLY:
            net.linears[layer + 1] = _preconditioned(net.linears[layer + 1])
    net = net.to(images)
    if arm == LSUV:
        lsuv_(net, images, generator=generator(seed, "orthonormal weights"))
    if arm == PINNED:
        restandardise_(net, images)
    return net


def _after(arm: str, width: int, seed: int, layer: int) -> nn.Module:
    """Make what stands between a hidden layer's linear map and its nonlinearity."""
    if arm == BN:
        return nn.BatchNorm2d(width)
    if arm == DETACHED:
        return DetachedBatchNorm(width)
    if arm == BACKWARD_ONLY:
        return BackwardBatchNorm(width)
    if arm in (NOISY, NOISE):
        noise = StepNoise(generator(seed, f"noise of layer {layer}"))
        return nn.Sequential(nn.BatchNorm2d(width), noise) if arm == NOISY else noise
    return nn.Identity()


def _preconditioned(linear: nn.Linear) -> PreconditionedLinear:
    made = PreconditionedLinear(linear.in_features, linear.out_features)
    made.load_state_dict(linear.state_dict())
    return made


@torch.no_grad()
def restandardise_(net: MLP, images: Tensor) -> None:
    """Divide each unit's weights by its deviation on the images and shift its bias, layer by layer: moments 0 and 1.

    What Batch Normalization (gamma = 1, beta = 0) would hand on, without a layer that does it: the plain network's own
    weights do, and its gradient is the plain one. A unit that does not vary keeps its weights.
    """
    x = images.flatten(1)
    for linear in net.linears[:-1]:
        z = x @ linear.weight.mT + linear.bias  # (B, width)
        deviation, mean = torch.std_mean(z, 0, correction=0)
        deviation = torch.where(deviation > 1e-5, deviation, 1.0)
        linear.weight.div_(deviation[:, None])
        linear.bias.sub_(mean).div_(deviation)
        x = net.activation((z - mean) / deviation)


def moment_penalty(seen: list[Tensor]) -> Tensor:
    """Sum over hidden layers of the mean over units of mean^2 + (deviation - 1)^2, times `PENALTY_WEIGHT`."""
    total = seen[0].new_zeros(())
    for z in seen:  # (B, width)
        total = total + z.mean(0).square().mean() + (z.std(0, correction=0) - 1).square().mean()
    return PENALTY_WEIGHT * total


def watch_hidden(net: MLP) -> tuple[list[Tensor], Callable[[], None]]:
    """Collect what leaves the hidden linear layers, with its graph, in a list that the caller empties at each step."""
    seen: list[Tensor] = []
    handles = [linear.register_forward_hook(lambda _, __, z: seen.append(z)) for linear in net.linears[:-1]]
    return seen, lambda: [handle.remove() for handle in handles] and None


def groups(net: MLP) -> list[tuple[str, ...]]:
    """Layers in order for `gradient_shifts`: each linear map with its own normalisation, if it has one."""
    names = []
    for layer, after in enumerate(net.after):
        own = (f"after.{layer}",) if any(True for _ in after.parameters()) else ()
        names.append((f"linears.{layer}", *own))
    return names
