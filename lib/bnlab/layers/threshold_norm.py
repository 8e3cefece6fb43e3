"""BN_Amplify and BN_Suppress: Batch Normalization of only those channels whose power lies below, or above, a threshold.

The text of Chai et al. 2020, Sec. 3.3, gives BN_Amplify the channels *above* the threshold and BN_Suppress those below;
their names, Section 3.2, the results and the abstract need the reverse, so here ``where="below"`` amplifies and
``where="above"`` suppresses, and the literal reading is the same layer with the other word.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from bnlab import checks
from bnlab.layers.batchnorm import batch_statistics, by_channel, normalise
from bnlab.layers.running import check_maps, keep_sound

WHERES = ("below", "above")
POWERS = ("mean_square", "variance")
# The fused kernel misplaces its output by about eps of the dtype times mean / deviation; up to here it may.
MISPLACED = 1e-4


class ThresholdNorm(nn.Module):
    """Normalise the channels on one side of a power threshold, leave the others as they are.

    y_c = gamma_c (x_c - mean_c) / sqrt(var_c + eps) + beta_c where the power of channel c is below (above) the
    threshold, y_c = x_c elsewhere; power is the mean square over (B, H, W), or the variance. Input (B, C, H, W).

    The mask comes from the moving average of the power up to the *previous* step (from the batch itself at the very
    first), in training and in evaluation alike, so that an output never depends on which images share a test batch;
    `disagreement` says of each channel whether the batch itself would have decided otherwise. Running mean and
    (unbiased) variance are kept for all channels at each step, normalised or not; a channel that is not finite in a
    batch leaves them as they were. The mask carries no gradient: the selected branch does, batch statistics included,
    which is exact almost everywhere.

    Args:
        channels: C.
        where: "below" the threshold (BN_Amplify) or "above" it (BN_Suppress).
        threshold: in units of power; finite and positive.
        power: "mean_square" or "variance".
        eps: added to the variance.
        decay: weight of the old value in every moving average.

    Raises:
        ValueError: an argument outside its range, input that is not (B, C, H, W), or of a wider dtype than the layer.
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
        checks.choice("where", where, WHERES)
        checks.choice("power", power, POWERS)
        self.where, self.threshold, self.power = where, checks.number("threshold", threshold, above=0), power
        self.eps, self.decay = checks.number("eps", eps, above=0), checks.number("decay", decay, least=0, below=1)
        channels = checks.whole("channels", channels)
        self.weight = nn.Parameter(torch.ones(channels))  # gamma (C,)
        self.bias = nn.Parameter(torch.zeros(channels))  # beta (C,)
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("running_power", torch.full((channels,), torch.nan))  # nan: no step yet
        self.register_buffer("mask", torch.zeros(channels, dtype=torch.bool))  # of the latest forward pass
        self.register_buffer("disagreement", torch.zeros(channels, dtype=torch.bool))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the selected channels of x (B, C, H, W)."""
        check_maps(x, len(self.weight), self.weight.dtype)
        wide = x.to(torch.promote_types(self.weight.dtype, torch.float32))
        affine = (self.weight.to(wide.dtype), self.bias.to(wide.dtype))
        if self.training:
            # The fused kernel gives the statistics as well, three times faster than var_mean and arithmetic.
            normalised, mean, inverse_std = torch.native_batch_norm(wide, *affine, None, None, True, 0.0, self.eps)
            var = (inverse_std.square().reciprocal() - self.eps).clamp_min(0)  # (C,)
            if (far := self._far(mean, var)).any():
                statistics = batch_statistics(wide)
                normalised = self._again(far, normalised, statistics.centred, statistics.variance)
                var = torch.where(far, statistics.variance.detach(), var)
            self._choose_and_remember(mean, var, x[:, 0].numel())
        else:
            mean, var = self.running_mean.to(wide.dtype), self.running_var.to(wide.dtype)
            normalised = functional.batch_norm(wide, mean, var, *affine, eps=self.eps)
            if (far := self._far(mean, var)).any():
                normalised = self._again(far, normalised, wide - by_channel(mean, wide), var)
            self.mask = self._selected(self.running_power)
        return torch.where(self.mask.view(1, -1, 1, 1), normalised, wide).to(x.dtype)

    def _far(self, mean: Tensor, var: Tensor) -> Tensor:
        """Channels whose mean is so far above their deviation that the fused kernel misplaces them, (C,)."""
        return mean.square() > (MISPLACED / torch.finfo(mean.dtype).eps) ** 2 * (var + self.eps)

    def _again(self, far: Tensor, normalised: Tensor, centred: Tensor, var: Tensor) -> Tensor:
        """Normalise those channels again, three times slower, from x less its mean."""
        x_hat = normalise(centred, var, self.eps)
        again = by_channel(self.weight, x_hat) * x_hat + by_channel(self.bias, x_hat)
        return torch.where(far.view(1, -1, 1, 1), again, normalised)

    @torch.no_grad()
    def _choose_and_remember(self, mean: Tensor, var: Tensor, count: int) -> None:
        power = var + mean.square() if self.power == "mean_square" else var  # (C,)
        first, sound = self.running_power.isnan(), power.isfinite() & var.isfinite()
        self.mask = self._selected(torch.where(first, power, self.running_power))
        self.disagreement = self.mask != self._selected(power)
        unbiased = var * count / max(count - 1, 1)
        own = (running.to(var.dtype) for running in (self.running_power, self.running_mean, self.running_var))
        blended = [r.lerp(fresh, 1 - self.decay) for r, fresh in zip(own, (power, mean, unbiased), strict=True)]
        self.running_power = keep_sound(self.running_power, torch.where(first, power, blended[0]), sound)
        self.running_mean = keep_sound(self.running_mean, blended[1], sound)
        self.running_var = keep_sound(self.running_var, blended[2], sound)

    def _selected(self, power: Tensor) -> Tensor:
        return power < self.threshold if self.where == "below" else power > self.threshold

    def extra_repr(self) -> str:
        """Say the arguments."""
        return f"{len(self.weight)}, where={self.where!r}, threshold={self.threshold}, power={self.power!r}"
