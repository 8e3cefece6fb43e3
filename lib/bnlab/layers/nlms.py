"""A convolution whose weight update is NLMS: each patch's contribution divided by the power of that patch.

Chai et al. 2020, Eq. 9 with the sign mended (d = y - delta makes the update minus delta): the weight gradient is
sum over images b and positions m of delta x / (eps + norm of x), while the error sent to the layer below stays that of
the plain convolution. A plain SGD step with rate mu / (B M) on this gradient is the document's update.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from bnlab import checks
from bnlab.layers.running import check_maps
from bnlab.theory.patches import geometry, unroll

PATCH_NORMS = ("l2", "l1", "l1_squared")
SPANS = ("channel", "patch")


def patch_power(patches: Tensor, channels: int, norm: str = "l2", span: str = "channel") -> Tensor:
    """Measure the power of each patch: of each input channel's part of it, or of the whole.

    "l2": sum of squares; "l1": sum of magnitudes as printed (not free of scale); "l1_squared": (sum of magnitudes)^2
    divided by the number of entries, free of scale.

    Args:
        patches: (B, K, M), K = channels * Z, channel after channel.
        channels: input channels C.
        norm: one of `PATCH_NORMS`.
        span: "channel" (the document, Eq. 8) gives (B, C, M); "patch" (exact minimum disturbance) gives (B, 1, M).

    Raises:
        ValueError: an unknown norm or span, patches that are not float32 or float64, or K that the channels do not
            divide.
    """
    checks.choice("norm", norm, PATCH_NORMS)
    checks.choice("span", span, SPANS)
    checks.whole("channels", channels)
    checks.tensor("patches", patches, f"(B, {channels} * Z, M)", 3, finite=False)
    if patches.shape[1] % channels:
        raise ValueError(f"patches: shape {tuple(patches.shape)} is not (B, {channels} * Z, M)")
    images, length, positions = patches.shape
    groups = channels if span == "channel" else 1
    parts = patches.reshape(images, groups, length // groups, positions)  # (B, C or 1, Z or K, M)
    if norm == "l2":
        return parts.square().sum(2)  # (B, C or 1, M)
    magnitude = parts.abs().sum(2)  # (B, C or 1, M)
    return magnitude if norm == "l1" else magnitude.square() / parts.shape[2]


def nlms_gradient(patches: Tensor, errors: Tensor, channels: int, norm: str, span: str, regulariser: float) -> Tensor:
    """Sum the normalised contributions of all patches: the direction that NLMS descends.

    g_ok = sum_bm e_bom x_bkm / (regulariser * mean power + power_bm); a zero patch contributes zero, not 0/0 = NaN.

    Args:
        patches: (B, K, M).
        errors: (B, OC, M), dJ/dy.
        channels: input channels.
        norm: one of `PATCH_NORMS`.
        span: one of `SPANS`.
        regulariser: share of the mean power that is added to each.

    Returns:
        (OC, K).

    Raises:
        ValueError: as `patch_power`, errors of other images or positions, or a regulariser that is negative.
    """
    checks.number("regulariser", regulariser, least=0)
    checks.tensor("errors", errors, "(B, OC, M)", 3, finite=False)
    if (errors.shape[0], errors.shape[2]) != (patches.shape[0], patches.shape[-1]) or errors.dtype != patches.dtype:
        found = f"{tuple(errors.shape)} {errors.dtype} beside patches {tuple(patches.shape)} {patches.dtype}"
        raise ValueError(f"errors: {found} are not (B, OC, M) of their images, positions and dtype")
    power = patch_power(patches, channels, norm, span)  # (B, C or 1, M)
    groups = power.shape[1]
    images, length, positions = patches.shape
    # An input that is zero everywhere has mean power zero: the smallest normal number keeps 0/0 away.
    floor = (regulariser * power.mean()).clamp_min(torch.finfo(power.dtype).tiny)
    parts = patches.reshape(images, groups, length // groups, positions) / (power + floor).unsqueeze(2)
    return torch.einsum("bom,bkm->ok", errors, parts.reshape(images, length, positions))


class _NlmsConvolution(torch.autograd.Function):
    """conv2d forward and towards its input; NLMS towards its weights."""

    @staticmethod
    def forward(ctx, x, weight, bias, layer):
        ctx.save_for_backward(x, weight)
        ctx.layer = layer
        return functional.conv2d(x, weight, bias, layer.stride, layer.padding, layer.dilation)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, errors):  # (B, OC, OH, OW)
        x, weight = ctx.saved_tensors
        layer = ctx.layer
        down = None
        with _plain_arithmetic(x):  # the call of backward() may stand under autocast
            if ctx.needs_input_grad[0]:
                down = torch.nn.grad.conv2d_input(
                    x.shape, weight, errors, layer.stride, layer.padding, layer.dilation
                )  # the error handed on stays clean
            return down, layer.weight_gradient(x, errors), errors.sum((0, 2, 3)), None


def _plain_arithmetic(x: Tensor) -> torch.autocast:
    return torch.autocast(x.device.type, enabled=False)


class NlmsConv2d(nn.Conv2d):
    """A convolution trained by NLMS, optionally with noise in the local error that its weights see.

    Under autocast it computes in the dtype of its weights; powers of patches in float32 at least.

    Args:
        in_channels: C.
        out_channels: OC.
        kernel_size: as torch.nn.Conv2d; so are stride, padding, dilation. groups = 1.
        norm: "l2", "l1", "l1_squared", or "none" for the plain gradient (so that noise compares at equal arithmetic).
        span: "channel" (the document) or "patch" (exact minimum disturbance).
        regulariser: share of the mean power added to each denominator.
        noise: standard deviation of the injected noise in units of the local error's own, over the whole tensor.
        generator: CPU generator of that noise; needed if noise > 0.
        device: as torch.nn.Conv2d.

    Raises:
        ValueError: an unknown norm or span, a negative noise or regulariser, noise without generator, padding in words;
            input that is not (B, C, H, W), or of a wider dtype than the weights.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0, *,
        norm: str = "l2", span: str = "channel", regulariser: float = 1e-3, noise: float = 0.0,
        generator: torch.Generator | None = None, device: torch.device | str | None = None,
    ):  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, device=device)
        geometry(self.kernel_size, self.stride, self.padding, self.dilation)
        checks.choice("norm", norm, (*PATCH_NORMS, "none"))
        checks.choice("span", span, SPANS)
        regulariser, noise = checks.number("regulariser", regulariser, least=0), checks.number("noise", noise, least=0)
        if noise > 0 and generator is None:
            raise ValueError("noise needs a generator: give a CPU torch.Generator")
        self.norm, self.span, self.regulariser, self.noise, self.generator = norm, span, regulariser, noise, generator

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x (B, C, H, W) to (B, OC, OH, OW)."""
        check_maps(x, self.in_channels, self.weight.dtype)
        with _plain_arithmetic(x):
            return _NlmsConvolution.apply(x.to(self.weight.dtype), self.weight, self.bias, self)

    def weight_gradient(self, x: Tensor, errors: Tensor) -> Tensor:
        """Give the (noisy, normalised) direction for the weights, (OC, C, H, W), from inputs and local errors."""
        # The power of a patch overflows at half precision, and its share of the mean then underflows to 0.
        wide = torch.promote_types(errors.dtype, torch.float32)
        x, noisy = x.to(wide), errors.to(wide)
        if self.noise > 0:
            drawn = torch.randn(errors.shape, generator=self.generator, dtype=torch.float32)
            noisy = noisy + self.noise * noisy.std() * drawn.to(noisy)
        if self.norm == "none":
            step = (self.stride, self.padding, self.dilation)
            return torch.nn.grad.conv2d_weight(x, self.weight.shape, noisy, *step).to(self.weight.dtype)
        patches = unroll(x, self.kernel_size, self.stride, self.padding, self.dilation)  # (B, K, M)
        direction = nlms_gradient(
            patches, noisy.flatten(2), x.shape[1], self.norm, self.span, self.regulariser
        )  # (OC, K)
        return direction.reshape(self.weight.shape).to(self.weight.dtype)
