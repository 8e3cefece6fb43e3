"""A LeNet's own tensors as the arrays of the compiled step: nothing is copied in or out."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from bnlab.datasets import Dataset
from bnlab.layers.batchnorm import BatchNorm
from bnlab.layers.constant_gain import ConstantGain
from bnlab.layers.frozen_gain import FrozenGainBatchNorm
from bnlab.layers.nlms import NlmsConv2d
from bnlab.layers.rms_norm import RmsNorm
from bnlab.layers.split_batchnorm import DetachedBatchNorm
from bnlab.layers.threshold_norm import ThresholdNorm
from bnlab.layers.weight_norm import WeightNormConv2d
from bnlab.models.lenet import SIZE, LeNet
from bnlab.training.compiled import jit, nlms, normalisation
from bnlab.training.compiled.step import Descent, Head, Images, Layer, Network

KINDS = {
    nn.Identity: normalisation.NONE,
    nn.BatchNorm2d: normalisation.BATCH,
    ThresholdNorm: normalisation.THRESHOLD,
    RmsNorm: normalisation.RMS,
    ConstantGain: normalisation.GAIN,
    DetachedBatchNorm: normalisation.DETACHED,
    FrozenGainBatchNorm: normalisation.FROZEN,
}
POWERS = {"none": nlms.PLAIN, "l1": nlms.L1, "l1_squared": nlms.L1_SQUARED, "l2": nlms.L2}
NORMS = ("before1", "norm1", "before2", "norm2")
# In the order of Network.parameters: what a network may have.
PARAMETERS = [f"{module}.{part}" for module in (*NORMS, "conv1", "conv2", "fc") for part in ("weight", "bias")]
GEOMETRY = {"kernel_size": (5, 5), "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def unsupported(model: nn.Module) -> str | None:
    """Say in a few words why the compiled step cannot train a network; None if it can."""
    if jit.numba is None:
        return "numba is not installed (pip install 'bnlab[compiled]')"
    if type(model) is not LeNet:
        return f"{type(model).__name__} is no models.lenet.LeNet"
    for name, module in model.named_modules():
        if any(getattr(module, hooks) for hooks in HOOKS):
            return f"hooks on {name or 'the network'}"
    for name in NORMS:
        module = model.get_submodule(name)
        if type(module) not in KINDS:
            return f"{name}: {type(module).__name__}"
        if isinstance(module, nn.BatchNorm2d) and (module.weight is None or not module.track_running_stats):
            return f"{name}: BatchNorm2d without parameters or running statistics"
        if isinstance(module, BatchNorm) and module.weight is None:
            return f"{name}: {type(module).__name__} without parameters"
        if isinstance(module, nn.BatchNorm2d) and module.momentum is None:
            return f"{name}: BatchNorm2d with a cumulative average"
    for name in ("conv1", "conv2"):
        layer = model.get_submodule(name)
        if type(layer) not in (nn.Conv2d, NlmsConv2d, WeightNormConv2d):
            return f"{name}: {type(layer).__name__}"
        if tuple(getattr(layer, part) for part in GEOMETRY) != tuple(GEOMETRY.values()) or layer.bias is None:
            return f"{name}: its geometry is not that of LeNet"
    for name, kind in (("relu", nn.ReLU), ("pool", nn.AvgPool2d), ("fc", nn.Linear)):
        if type(model.get_submodule(name)) is not kind:
            return f"{name}: {type(model.get_submodule(name)).__name__}"
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            return f"{name} is {tensor.dtype}"
        if tensor.device.type != "cpu" or not tensor.is_contiguous():
            return f"{name} is not contiguous on the CPU"
        if isinstance(tensor, nn.Parameter) and not tensor.requires_grad:
            return f"{name} asks for no gradient (a rate of 0 freezes a parameter)"
    return None


class Arrays:
    """The work space of a network for mini-batches of a size, and its tensors beside it.

    Args:
        model: what `unsupported` has nothing against.
        dataset: whose split is gone through.
        split: "train" or "test".
        batch_size: images in a mini-batch.
        training: whether gradients are computed.

    Raises:
        ValueError: images of another shape than the network's, on another device, or labels beyond its classes.
    """

    def __init__(self, model: LeNet, dataset: Dataset, split: str, batch_size: int, training: bool = True):
        self.model, self.training = model, training
        images, labels = (getattr(dataset, f"{split}_{part}") for part in ("images", "labels"))
        _check(model, images, labels)
        channels = model.conv1.in_channels
        shades = torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1).expand(-1, channels, 1, 1)
        table = dataset.normalise(shades).view(256, channels).T
        lanes = -(-batch_size // jit.LANES) * jit.LANES
        given = _space(channels, SIZE, SIZE, lanes)
        self.images = Images(*map(_array, (images, labels, table)), given)
        self.pooled = [_space(6, 14, 14, lanes), _space(16, 5, 5, lanes)]
        self.seen = [self._seen(model.before1, given), self._seen(model.before2, self.pooled[0])]
        self.made = [_space(6, 28, 28, lanes), _space(16, 10, 10, lanes)]
        self.powers = [self._nlms(model.conv1, self.made[0]), self._nlms(model.conv2, self.made[1])]
        self.kernels = [np.zeros(tuple(layer.weight.shape), np.float32) for layer in (model.conv1, model.conv2)]
        self.logits, self.zeros = _space(model.fc.out_features, lanes), np.zeros(6, np.float32)
        widths = dict(zip(NORMS, (channels, 6, 6, 16), strict=True))
        self.statistics = {name: np.zeros((5, width)) for name, width in widths.items()}
        self.descent({}, 0.0, 0.0)

    def descent(self, rates: Mapping[str, float], momentum: float, decay: float) -> None:
        """Set what gradient descent needs: rates by the names of parameters, momentum and weight decay."""
        self.rates = np.array([rates.get(name, 0.0) for name in PARAMETERS], np.float32)
        self.momentum, self.decay = float(momentum), float(decay)
        own = dict(self.model.named_parameters())
        sizes = [own[name].numel() if momentum and name in own else 0 for name in PARAMETERS]
        self.velocities = tuple(np.zeros(size, np.float32) for size in sizes)

    def bound(self) -> Network:
        """Give the network's tensors, as they are now, with the work space: whoever replaced one calls this again."""
        model = self.model
        if self.training:
            for parameter in model.parameters():
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
        own = dict(model.named_parameters()) if self.training else {}
        held = [own.get(name) for name in PARAMETERS]
        gradients = [None if parameter is None else parameter.grad for parameter in held]
        descent = Descent(
            tuple(map(_flat, held)),
            tuple(map(_flat, gradients)),
            self.velocities,
            self.rates,
            self.momentum,
            self.decay,
        )
        features = self.pooled[1].reshape(400, -1)
        head = Head(*self._pair(model.fc), features, self.logits)
        return Network(self.images, self._layer(0), self._layer(1), head, descent, self.zeros)

    def _seen(self, before: nn.Module, given: np.ndarray) -> np.ndarray:
        return given if isinstance(before, nn.Identity) else _space(*given.shape)

    def _nlms(self, layer: nn.Conv2d, made: np.ndarray) -> nlms.Nlms:
        norm, noise = POWERS[getattr(layer, "norm", "none")], float(getattr(layer, "noise", 0.0))
        whole, none = getattr(layer, "span", "channel") == "patch", np.zeros((0, 0, 0, 0), np.float32)
        used = norm != nlms.PLAIN and self.training
        power = _space(1 if whole else layer.in_channels, *made.shape[1:]) if used else none
        return nlms.Nlms(
            norm, whole, float(getattr(layer, "regulariser", 0.0)), noise,
            _space(*made.shape) if noise and self.training else none, _space(*made.shape) if used else none, power,
        )  # fmt: skip

    def _layer(self, place: int) -> Layer:
        number = place + 1
        conv = self.model.get_submodule(f"conv{number}")
        norms = (self._norm(f"before{number}"), self._norm(f"norm{number}"))
        own, fixed = self._pair(conv), isinstance(conv, WeightNormConv2d)
        lengths = _array(conv.gain) if fixed else np.zeros(0, np.float32)
        return Layer(*own, *norms, self.powers[place], self.seen[place], self.made[place], self.pooled[place],
                     self.kernels[place] if fixed else own[0], lengths)  # fmt: skip

    def _pair(self, module: nn.Module) -> tuple[np.ndarray, ...]:
        own = (module.weight, module.bias)
        return (*map(_array, own), *(_array(p.grad if self.training else p) for p in own))

    def _norm(self, name: str) -> normalisation.NormState:
        module, statistics = self.model.get_submodule(name), self.statistics[name]
        width = statistics.shape[1]
        affine = hasattr(module, "weight")
        none = np.zeros(width, np.float32)
        pair = self._pair(module) if affine else (none,) * 4
        state = [_array(getattr(module, part)) if hasattr(module, part) else none
                 for part in ("running_mean", "running_var", "running_power", "gain")]  # fmt: skip
        masks = [_array(getattr(module, part)) if hasattr(module, part) else np.zeros(width, bool)
                 for part in ("mask", "disagreement")]  # fmt: skip
        fresh = module.momentum if isinstance(module, nn.BatchNorm2d) else 1 - getattr(module, "decay", 1.0)
        return normalisation.NormState(
            KINDS[type(module)], *pair, *state, *masks, float(getattr(module, "eps", 0.0)), float(fresh),
            float(np.float32(getattr(module, "threshold", 1.0))), getattr(module, "where", "") == "below",
            getattr(module, "power", "") == "variance", getattr(module, "span", "") == "layer", statistics,
        )  # fmt: skip

    def count(self, steps: int) -> None:
        """Count batches as `torch.nn.BatchNorm2d` does."""
        for name in NORMS:
            module = self.model.get_submodule(name)
            if isinstance(module, nn.BatchNorm2d):
                module.num_batches_tracked += steps


def _check(model: LeNet, images: Tensor, labels: Tensor) -> None:
    if images.device.type != "cpu":
        raise ValueError(f"dataset: its images are on {images.device}; the compiled step computes on the CPU")
    model._check(images[:1].float())
    classes = model.fc.out_features
    if not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ValueError(f"dataset: labels from {int(labels.min())} to {int(labels.max())} for {classes} classes")


def _space(*shape: int) -> np.ndarray:
    """Zeros that begin where a line of the cache does: else every second vector of AVX-512 would lie across two."""
    size, line = math.prod(shape), 64
    room = np.zeros(4 * size + line, np.uint8)
    start = -room.ctypes.data % line
    return room[start : start + 4 * size].view(np.float32).reshape(shape)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


def _flat(tensor: Tensor | None) -> np.ndarray:
    return np.zeros(0, np.float32) if tensor is None else _array(tensor).reshape(-1)
