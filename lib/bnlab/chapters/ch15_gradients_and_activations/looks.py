"""One look at a ResNet at initialisation: one batch forward and back, and what chapter 15 keeps of it."""

from __future__ import annotations

import math
from contextlib import ExitStack

import pandas as pd
import scipy.stats
import torch
from torch import Tensor, nn
from torch.nn import functional

from bnlab.chapters.ch15_gradients_and_activations.arms import batch, layer_at, network
from bnlab.chapters.ch15_gradients_and_activations.output_gradients import output_gradients
from bnlab.chapters.ch15_gradients_and_activations.printed_table import LAYERS
from bnlab.datasets import Dataset
from bnlab.measures.kernel_sums import KernelSums, kernel_sums_by_layer
from bnlab.models.resnet import ResNet

ARMS = ("none", "last BN", "all")
PAIRS_LAYER = 45  # whose in- and out-channels are looked at (Figure 7)
# Table -> unit of each column, besides arm and seed.
UNITS = {
    "moments": {
        "place": "name",
        "layer": "convolutions before it",
        "mean": "1",
        "mean_spread": "1",
        "largest_mean": "1",
        "variance": "1",
        "variance_spread": "1",
    },
    "gradients": {
        "layer": "convolutions before it",
        "absolute": "nats",
        "net": "nats",
        "summands": "number",
        "top_share": "of the singular values",
        "rank_correlation": "Spearman",
    },
    "outputs": {"image": "number", "label": "class", "output": "class", "logit": "nats", "gradient": "nats"},
    "pairs": {"layer": "convolutions before it", "in": "channel", "out": "channel", "size": "nats", "mean": "1"},
}
WHOLE = ("layer", "summands", "image", "label", "output", "in", "out")


def look(point: dict, dataset: Dataset, depth: int, images: int, initialisation: str) -> pd.DataFrame:
    """Look at the network of one ``arm`` and ``seed``: rows of four tables, told apart by the column ``table``.

    ``moments``: over the channels at each place, mean, deviation and largest of |channel mean|, mean and deviation of
    the variances; the places are the convolutions' outputs, those of their normalisations, and the residual stream.
    ``gradients``: of every third kernel and those of the document's tables, means over its entries of sum |d| and
    |sum d|, how many summands, s_1 / sum s of M, and Spearman's correlation of |mean| of an input channel with the sum
    of M over the outputs. ``outputs``: logits and the loss's derivative by them, image by image. ``pairs``: M and input
    means at `PAIRS_LAYER`.
    """
    x, labels = batch(dataset, images, point["seed"])
    net = network(point["arm"], depth, x, len(dataset.classes), initialisation, point["seed"])
    moments: list[tuple] = []
    logits: list[Tensor] = []
    with ExitStack() as stack:
        for place, layer, module in _places(net):
            keep = _keeper(moments, place, layer)
            stack.callback(module.register_forward_hook(keep).remove)
        stack.callback(net.fc.register_forward_hook(lambda _, __, output: logits.append(output.detach())).remove)
        watched = {k: f"convolutions.{k}" for k in _watched(depth)}
        sums = kernel_sums_by_layer(net, x, labels, functional.cross_entropy, list(watched.values()))
    found = {
        "moments": moments,
        "gradients": [(k, *_of_kernel(sums[name])) for k, name in watched.items()],
        "outputs": _outputs(logits[0], labels),
        "pairs": _pairs(layer_at(PAIRS_LAYER, depth), sums),
    }
    return pd.concat([_named(name, rows) for name, rows in found.items()], ignore_index=True)


def select(looks: pd.DataFrame, name: str) -> pd.DataFrame:
    """Take one of the tables out of rows that `look` has made, with its units."""
    units = {"arm": "name", "seed": "number", **UNITS[name]}
    made = looks[looks["table"] == name][list(units)].reset_index(drop=True)
    made = made.astype({column: int for column in WHOLE if column in made})
    made.attrs["units"] = units
    return made


def _watched(depth: int) -> list[int]:
    """Every third convolution, and those that stand where the document looks."""
    named = {layer_at(printed, depth) for printed in (*LAYERS, PAIRS_LAYER)}
    return sorted(named | set(range(0, depth - 1, 3)))


def _named(name: str, rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(UNITS[name])).assign(table=name)


def _places(net: ResNet) -> list[tuple[str, int, nn.Module]]:
    found = [("convolution", k, module) for k, module in enumerate(net.convolutions)]
    found += [("norm", k, module) for k, module in enumerate(net.norms) if not isinstance(module, nn.Identity)]
    return found + [("stream", k, module) for k, module in enumerate(net.relus) if k % 2 == 0]


def _keeper(moments: list[tuple], place: str, layer: int):
    def keep(_: nn.Module, __: object, output: Tensor) -> None:
        # The statistics of Batch Normalization, biased variance, from its own kernel: six times as fast as Tensor.var.
        _, means, scales = torch.native_batch_norm(output.detach(), None, None, None, None, True, 0.0, 0.0)
        means, variances = means.double().abs(), scales.double().pow(-2)
        variances = variances.masked_fill(scales == 0, 0)  # a constant channel
        numbers = (means.mean(), means.std(), means.max(), variances.mean(), variances.std())
        moments.append((place, layer, *(number.item() for number in numbers)))

    return keep


def _of_kernel(sums: KernelSums) -> tuple[float, float, int, float, float]:
    M = sums.between_channels
    share = correlation = math.nan  # where a gradient is not finite
    if M.isfinite().all() and M.any():
        values = torch.linalg.svdvals(M)
        share = (values[0] / values.sum()).item()
        means = sums.input_means.abs().cpu().numpy()
        if len(means) > 3 and (means != means[0]).any():  # the images have three channels, normalised alike
            correlation = float(scipy.stats.spearmanr(means, M.sum(1).cpu().numpy()).statistic)
    absolute, net = sums.absolute.double().mean().item(), sums.gradient.double().abs().mean().item()
    return absolute, net, sums.summands, share, correlation


def _outputs(logits: Tensor, labels: Tensor) -> list[tuple]:
    slopes = output_gradients(logits, labels)
    return [
        (image, label, output, logit, slope)
        for image, (label, row, back) in enumerate(zip(labels.tolist(), logits.tolist(), slopes.tolist(), strict=True))
        for output, (logit, slope) in enumerate(zip(row, back, strict=True))
    ]


def _pairs(layer: int, sums: dict[str, KernelSums]) -> list[tuple]:
    chosen = sums[f"convolutions.{layer}"]
    means, M = chosen.input_means.tolist(), chosen.between_channels
    return [(layer, i, o, size, means[i]) for i, row in enumerate(M.tolist()) for o, size in enumerate(row)]
