"""The one registry of normalisations that a network can be built with: ``norm="batch"`` and the like.

A normalisation may act on the output of a convolution (the common placement), on its input (BN_Prior, Chai et al.
2020, figure 9d), or on its weight update (NLMS, figure 9c), so an entry makes a module for each side from the number of
channels there, and the convolution itself. To add one, add an entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from torch import nn

from bnlab import checks
from bnlab.layers.constant_gain import ConstantGain
from bnlab.layers.frozen_gain import FrozenGainBatchNorm
from bnlab.layers.nlms import NlmsConv2d
from bnlab.layers.rms_norm import RmsNorm
from bnlab.layers.split_batchnorm import DetachedBatchNorm
from bnlab.layers.threshold_norm import ThresholdNorm
from bnlab.layers.weight_norm import WeightNormConv2d


def _nothing(channels: int) -> nn.Module:
    return nn.Identity()


@dataclass(frozen=True)
class Norm:
    """What stands on either side of a convolution."""

    before: Callable[[int], nn.Module] = _nothing  # made from the number of input channels
    after: Callable[[int], nn.Module] = _nothing  # made from the number of output channels, ahead of the nonlinearity
    convolution: type[nn.Conv2d] = nn.Conv2d
    rule: Mapping[str, object] = field(default_factory=dict)  # arguments of the convolution besides its sizes

    def make_convolution(self, in_channels: int, out_channels: int, kernel_size: int) -> nn.Conv2d:
        """Make the convolution, its weights yet to be drawn: its own initialisation would use the global generator."""
        return nn.utils.skip_init(self.convolution, in_channels, out_channels, kernel_size, **self.rule)


NORMS: dict[str, Norm] = {
    "none": Norm(),
    "batch": Norm(after=nn.BatchNorm2d),
    "batch_prior": Norm(before=nn.BatchNorm2d),
    # Named by what they do; the document's text (Sec. 3.3) swaps the two, and is kept under the literal names.
    "amplify": Norm(after=partial(ThresholdNorm, where="below")),
    "suppress": Norm(after=partial(ThresholdNorm, where="above")),
    "amplify_variance": Norm(after=partial(ThresholdNorm, where="below", power="variance")),
    "suppress_variance": Norm(after=partial(ThresholdNorm, where="above", power="variance")),
    "amplify_literal": Norm(after=partial(ThresholdNorm, where="above")),
    "suppress_literal": Norm(after=partial(ThresholdNorm, where="below")),
    # Controls: the scaling of Batch Normalization without its centring, and without its statistics.
    "rms": Norm(after=RmsNorm),
    "gain_channel": Norm(after=ConstantGain),
    "gain_layer": Norm(after=partial(ConstantGain, span="layer")),
    # Properties of Batch Normalization apart: a gradient that shrinks and is orthogonal, without control of the power;
    # control of the power and a gradient that shrinks; control of the power alone.
    "weight_norm": Norm(after=ConstantGain, convolution=WeightNormConv2d),
    "batch_detached": Norm(after=DetachedBatchNorm),
    "batch_frozen_gain": Norm(after=FrozenGainBatchNorm),
    "layer": Norm(after=partial(nn.GroupNorm, 1)),  # LayerNorm of maps: one mean and variance an image
    "nlms_l1": Norm(convolution=NlmsConv2d, rule={"norm": "l1"}),
    "nlms_l1_squared": Norm(convolution=NlmsConv2d, rule={"norm": "l1_squared"}),
    "nlms_l2": Norm(convolution=NlmsConv2d, rule={"norm": "l2"}),
    "nlms_l2_patch": Norm(convolution=NlmsConv2d, rule={"norm": "l2", "span": "patch"}),
}


def find_norm(name: str) -> Norm:
    """The registry's entry of that name.

    >>> find_norm("batch").after(6).num_features
    6

    Raises:
        ValueError: if there is none, with the names that there are.
    """
    checks.choice("norm", name, tuple(NORMS))
    return NORMS[name]
