"""What layers with running statistics share: what they take, and statistics that no batch can spoil for good."""

from __future__ import annotations

import torch
from torch import Tensor

from bnlab import checks


def check_maps(x: Tensor, channels: int, dtype: torch.dtype) -> None:
    """Raise ValueError unless x (B, channels, H, W) has a layer's dtype, or a narrower one as autocast hands it on.

    nan and inf pass: a network that diverges says so by its loss.
    """
    shape = f"(B, {channels}, H, W)"
    checks.tensor("x", x, shape, 4, half=True, finite=False)
    if x.shape[1] != channels:
        raise ValueError(f"x: shape {tuple(x.shape)} is not {shape}")
    if torch.promote_types(x.dtype, dtype) != dtype:
        raise ValueError(f"x: {x.dtype} where the layer holds {dtype}; convert the one or the other")


@torch.no_grad()
def keep_sound(running: Tensor, fresh: Tensor, sound: Tensor) -> Tensor:
    """Give the new running statistics (C,): ``fresh`` where a channel was sound, what they were elsewhere.

    A batch with an overflow, or a step that mixed precision skips, would stay in a moving average for good: nan and inf
    never decay. (PyTorch's own layers take them in.) In the dtype of ``running``.

    Raises:
        ValueError: a sound value that float16 cannot hold, with the first such channel.
    """
    kept = torch.where(sound, fresh.to(running.dtype), running)
    if running.dtype == torch.float16 and (lost := sound & kept.isinf()).any():
        channel = int(lost.nonzero()[0])
        raise ValueError(
            f"running statistics: {fresh[channel]:.3g} in channel {channel} is beyond float16; use layer.float()"
        )
    return kept
