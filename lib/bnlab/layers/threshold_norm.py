"""BN_Amplify and BN_Suppress: Batch Normalization of only those channels whose power lies below, or above, a threshold.

The text of Chai et al. 2020, Sec. 3.3, gives BN_Amplify the channels *above* the threshold and BN_Suppress those below;
their names, Section 3.2, the results and the abstract need the reverse, so here ``where="below"`` amplifies and
``where="above"`` suppresses, and the literal reading is the same layer with the other word.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

WHERES = ("below", "above")
POWERS = ("mean_square", "variance")


class ThresholdNorm(nn.Module):
    """Normalise the channels on one side of a power threshold, leave the others as they are.

    y_c = gamma_c (x_c - mean_c) / sqrt(var_c + eps) + beta_c where the power of channel c is below (above) the
    threshold, y_c = x_c elsewhere; power is the mean square over (B, H, W), or the variance. Input (B, C, H, W).

    The mask comes from the moving average of the power up to the *previous* step (from the batch itself at the very
    first), in training and in evaluation alike, so that an output never depends on which images share a test batch;
    `disagreement` says of each channel whether the batch itself would have decided otherwise. Running mean and
    (unbiased) variance are kept for all channels at each step, normalised or not. The mask carries no gradient: the
    selected branch does, batch statistics included, which is exact almost everywhere.

    Args:
        channels: C.
        where: "below" the threshold (BN_Amplify) or "above" it (BN_Suppress).
        threshold: in units of power; finite and positive.
        power: "mean_square" or "variance".
        eps: added to the variance.
        decay: weight of the old value in every moving average.

    Raises:
        ValueError: an argument outside its range, or input that is not (B, C, H, W).
    """

    def __init__(
        self,
        channels: int,
        where: str,
        threshold: float = 1.0,
        power: str = "mean_square",
        eps: float = 1e-5,
        decay: float = 0.9,
    ):
        super().__init__()
        if where not in WHERES:
            raise ValueError(f"where = {where!r} is not one of {', '.join(WHERES)}")
        if power not in POWERS:
            raise ValueError(f"power = {power!r} is not one of {', '.join(POWERS)}")
        if not (math.isfinite(threshold) and threshold > 0):
            raise ValueError(f"threshold = {threshold!r} must be finite and positive")
        if not 0 <= decay < 1:
            raise ValueError(f"decay = {decay!r} must be at least 0 and below 1")
        self.where, self.threshold, self.power, self.eps, self.decay = where, threshold, power, eps, decay
        self.weight = nn.Parameter(torch.ones(channels))  # gamma (C,)
        self.bias = nn.Parameter(torch.zeros(channels))  # beta (C,)
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("running_power", torch.full((channels,), torch.nan))  # nan: no step yet
        self.register_buffer("mask", torch.zeros(channels, dtype=torch.bool))  # of the latest forward pass
        self.register_buffer("disagreement", torch.zeros(channels, dtype=torch.bool))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the selected channels of x (B, C, H, W)."""
        if x.ndim != 4 or x.shape[1] != len(self.weight):
            raise ValueError(f"x: shape {tuple(x.shape)} is not (B, {len(self.weight)}, H, W)")
        affine = (self.weight, self.bias)
        if self.training:
            # The fused kernel gives the statistics as well, three times faster than var_mean and arithmetic.
            normalised, mean, inverse_std = torch.native_batch_norm(x, *affine, None, None, True, 0.0, self.eps)
            var = (inverse_std.square().reciprocal() - self.eps).clamp_min(0)  # (C,)
            self._choose_and_remember(mean, var, x[:, 0].numel())
        else:
            normalised = functional.batch_norm(x, self.running_mean, self.running_var, *affine, eps=self.eps)
            self.mask = self._selected(self.running_power)
        return torch.where(self.mask.view(1, -1, 1, 1), normalised, x)

    @torch.no_grad()
    def _choose_and_remember(self, mean: Tensor, var: Tensor, count: int) -> None:
        power = var + mean.square() if self.power == "mean_square" else var  # (C,)
        first = self.running_power.isnan()
        self.mask = self._selected(torch.where(first, power, self.running_power))
        self.disagreement = self.mask != self._selected(power)
        self.running_power = torch.where(first, power, self.running_power.lerp(power, 1 - self.decay))
        self.running_mean = self.running_mean.lerp(mean, 1 - self.decay)
        self.running_var = self.running_var.lerp(var * count / max(count - 1, 1), 1 - self.decay)

    def _selected(self, power: Tensor) -> Tensor:
        return power < self.threshold if self.where == "below" else power > self.threshold

    def extra_repr(self) -> str:
        """Say the arguments."""
        return f"{len(self.weight)}, where={self.where!r}, threshold={self.threshold}, power={self.power!r}"
