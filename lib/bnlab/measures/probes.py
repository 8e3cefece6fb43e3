"""What one look at a network tells: spectra of the inputs of its layers, powers of its channels, errors on a split.

A probe is a callable that takes the model and returns named numbers, so that it can be handed to a training run as a
measurement. Spectra are those of training: Batch Normalization uses the statistics of the probe's images, because
its moving averages lag by tens of steps; all buffers are put back afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from bnlab import checks
from bnlab.datasets import Dataset
from bnlab.randomness import generator
from bnlab.theory import modes
from bnlab.theory.patches import Geometry, geometry
from bnlab.theory.spectra import autocorrelation
from bnlab.training.many import evaluate

PROBE_IMAGES = 1000  # or all there are


def probe_images(dataset: Dataset, count: int = PROBE_IMAGES) -> Tensor:
    """Normalised training images (count, C, H, W), fixed for all runs, so that no batch noise is in what they tell.

    Raises:
        ValueError: a count that is no whole number of at least 1.
    """
    total = len(dataset.train_labels)
    chosen = torch.randperm(total, generator=generator(0, "probe images"))[: min(checks.whole("count", count), total)]
    return dataset.normalise(dataset.train_images[chosen.to(dataset.train_images.device)])


@contextmanager
def using_batch_statistics(model: nn.Module) -> Iterator[None]:
    """Run in train mode for a while; the mode and every buffer (running statistics, masks) are put back."""
    own = [(module, name, buffer) for module in model.modules() for name, buffer in module._buffers.items()]
    training_before = model.training
    model.train()
    try:
        # The pass works on copies: writing into a buffer would spoil a backward pass that is still to come.
        for module, name, buffer in own:
            module._buffers[name] = None if buffer is None else buffer.clone()
        yield
    finally:
        model.train(training_before)
        for module, name, buffer in own:
            module._buffers[name] = buffer


def run(model: nn.Module, images: Tensor) -> Tensor:
    """Call a model on images; what they do not fit is said in one line.

    Raises:
        ValueError: images that are no real floating-point tensor, or that do not pass the model.
    """
    checks.tensor("images", images, "(B, ...)", half=True, finite=False)
    try:
        return model(images)
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"images: {images.dtype} of shape {tuple(images.shape)} do not pass the model: {reason}"
        ) from error


@torch.no_grad()
def activations(model: nn.Module, images: Tensor, layers: tuple[str, ...]) -> dict[str, tuple[Tensor, Tensor]]:
    """Give what enters and what leaves each named layer, in train mode on the given images.

    Copies, as they are when the layer has its input and gives its output: a later layer may work in place.

    >>> model = nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU())
    >>> [tuple(t.shape) for t in activations(model, torch.zeros(4, 2), ("0",))["0"]]
    [(4, 2), (4, 3)]

    Raises:
        ValueError: the model has no layer of that name, runs it other than once, or with anything but one tensor; or as
            `run`.
    """
    known = dict(model.named_modules())
    if missing := [name for name in layers if name not in known]:
        raise ValueError(f"layers: {missing[0]!r} is no layer of the model; there are {', '.join(filter(None, known))}")
    seen: dict[str, list[Tensor]] = {name: [] for name in layers}  # input, output

    def keep(name: str, value: object) -> None:
        if not isinstance(value, Tensor):
            raise ValueError(f"layers: {name!r} takes or gives a {type(value).__name__}, not one tensor")
        seen[name].append(value.detach().clone())

    handles = []
    for name in layers:
        before, after = known[name].register_forward_pre_hook, known[name].register_forward_hook
        handles.append(before(lambda _, inputs, name=name: keep(name, inputs[0] if inputs else inputs)))
        handles.append(after(lambda _, inputs, output, name=name: keep(name, output)))
    try:
        with using_batch_statistics(model):
            run(model, images)
    finally:
        for handle in handles:
            handle.remove()
    if other := [name for name in layers if len(seen[name]) != 2]:
        raise ValueError(f"layers: {other[0]!r} ran {len(seen[other[0]]) // 2} times on the images, not once")
    return {name: (entering, leaving) for name, (entering, leaving) in seen.items()}


def window_of(module: nn.Module, layer: str) -> Geometry:
    """How the kernel of the 2-d convolution called ``layer`` moves over its input.

    Raises:
        ValueError: no such convolution, or one with other padding than zeros or with groups, whose patches are others.
    """
    if not isinstance(module, nn.Conv2d):
        raise ValueError(f"layer: {layer!r} is {type(module).__name__}, not a 2-d convolution")
    if module.groups != 1 or module.padding_mode != "zeros":
        raise ValueError(
            f"layer: {layer!r} has {module.groups} groups and {module.padding_mode!r} padding, not 1 and 'zeros'"
        )
    return geometry(module.kernel_size, module.stride, module.padding, module.dilation)


def input_autocorrelation(model: nn.Module, images: Tensor, layer: str = "conv2") -> Tensor:
    """R of the inputs of a convolution layer, (K, K) float64, mean over images and positions.

    Raises:
        ValueError: as `activations` and `window_of`; the layer's input is not finite (the network has diverged).
    """
    entering, _ = activations(model, images, (layer,))[layer]  # (B, IC, IH, IW)
    if not entering.isfinite().all():
        raise ValueError(f"images: what they make enter {layer!r} is not finite, so it has no autocorrelation")
    return autocorrelation(entering, *window_of(model.get_submodule(layer), layer))


@dataclass(frozen=True)
class LeNetProbe:
    """Spectrum of R(conv2), of the input of fc, and powers of all channels, for a `models.lenet.LeNet`.

    Columns: ``lambda_max``, ``lambda_min`` and ``lambda_min_alive`` (the least above 1e-10 of the largest) of R of
    conv2's input; ``dead_modes``; ``lambda_max_fc`` and ``power_fc`` of fc's input, uncentred; ``power1_0`` to
    ``power2_15``, mean squares of what leaves conv1 and conv2; ``occupancy1`` and ``occupancy2``, the share of
    channels that a threshold norm normalised in its latest pass, and ``disagreement1`` and ``disagreement2``, the
    share for which the latest training batch alone would have decided otherwise than the moving average. NaN where
    the network is not finite, or has no such norm.
    """

    images: Tensor = field(repr=False)  # (B, C, 32, 32)

    def __call__(self, model: nn.Module) -> dict[str, float]:
        """Look at the model."""
        row = {f"occupancy{n}": _mean_of_buffer(model, f"norm{n}", "mask") for n in (1, 2)}
        row |= {f"disagreement{n}": _mean_of_buffer(model, f"norm{n}", "disagreement") for n in (1, 2)}
        seen = activations(model, self.images, ("conv1", "conv2", "fc"))
        row |= _spectrum(model, seen["conv2"][0], seen["fc"][0])
        for n in (1, 2):
            power = seen[f"conv{n}"][1].double().square().mean((0, 2, 3))  # (OC,)
            row |= {f"power{n}_{channel}": value for channel, value in enumerate(power.tolist())}
        return row


def _mean_of_buffer(model: nn.Module, layer: str, buffer: str) -> float:
    value = getattr(model.get_submodule(layer), buffer, None)
    return float(value.float().mean()) if isinstance(value, Tensor) else float("nan")


def _spectrum(model: nn.Module, maps: Tensor, features: Tensor) -> dict[str, float]:
    """Spectra of what enters conv2 (B, C, H, W) and fc (B, F)."""
    names = ("lambda_max", "lambda_min", "lambda_min_alive", "dead_modes", "lambda_max_fc", "power_fc")
    if not (maps.isfinite().all() and features.isfinite().all()):
        return dict.fromkeys(names, float("nan"))
    R = autocorrelation(maps, *window_of(model.get_submodule("conv2"), "conv2"))  # (K, K)
    spectrum = modes.effective_eigenvalues(R)
    wide = features.double()
    power = (wide.mT @ wide / len(wide)).diagonal().mean().item()  # of (F, F)
    values = (spectrum.largest, spectrum.smallest_of_all, spectrum.smallest, spectrum.dead_modes)
    return dict(zip(names, (*values, modes.largest_eigenvalue(features), power), strict=True))


@dataclass(frozen=True)
class SplitError:
    """Error rate and cross-entropy (nats) of a split in eval mode: ``<split>_error`` and ``<split>_loss``."""

    dataset: Dataset = field(repr=False)
    split: str = "test"

    def __call__(self, model: nn.Module) -> dict[str, float]:
        """Evaluate the model."""
        error, loss = evaluate(model, self.dataset, self.split)
        return {f"{self.split}_error": error, f"{self.split}_loss": loss}
