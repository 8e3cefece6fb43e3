"""torchvision beside a torch of another build: the one place that knows how to import it.

torchvision names its compiled operators `torchvision::nms` and `torchvision::qnms` on import. Where torch is a CPU
build and torchvision a CUDA build, which a plain installation can give, the compiled library does not load and the
import stops at "operator torchvision::nms does not exist". Data sets and transforms need neither operator: declaring
the two signatures lets the import go through. That is done only after the plain import failed in just this way, so
that a whole torchvision is never touched.
"""

import importlib

import torch

from bnlab.datasets.base import OFFLINE, DatasetError

SIGNATURES = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def torchvision_datasets():
    """The module `torchvision.datasets`. Raises DatasetError if torchvision is missing or does not fit torch."""
    try:
        try:
            return importlib.import_module("torchvision.datasets")
        except RuntimeError as error:
            if "torchvision::" not in str(error):
                raise
        declare_missing_operators()
        return importlib.import_module("torchvision.datasets")
    except (ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise DatasetError(
            f"torchvision cannot be imported ({reason}): install the release made for torch {torch.__version__}, or "
            f"use {OFFLINE}"
        ) from error


def declare_missing_operators() -> None:
    """Declare the signatures of those compiled torchvision operators that torch does not know yet."""
    for name, signature in SIGNATURES.items():
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", signature)
