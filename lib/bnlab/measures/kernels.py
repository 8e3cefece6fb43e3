"""Empirical neural tangent kernel K = J J^T of a network, and the Fisher Gram matrices made from it.

J holds the derivatives of every logit of every input by every parameter (Jacot et al. 2018). Gradient descent on
1/2 sum ||f - d||^2 moves the logits by -mu K (f - d) to first order, so K's eigenvalues are the rates at which the
network learns; K / n shares its eigenvalues other than 0 with the Fisher information of a Gaussian output (Karakida et
al. 2019).

With batch normalisation in training the logits of one input depend on the whole batch. Whether J passes through the
batch statistics is a choice that changes K: ``through_statistics=True`` is the derivative of what training computes;
False holds mean and variance still at their values on these inputs, as if the network were in eval mode with exact
statistics. Rows of J are taken one at a time by reverse mode: batched (vmap) backward through fused batch
normalisation, and forward mode through it, have given wrong numbers in several releases of PyTorch.
"""

from __future__ import annotations

import copy
from collections import defaultdict

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _SpectralNorm

from bnlab import checks
from bnlab.datasets import Dataset
from bnlab.layers.batchnorm import BatchNorm
from bnlab.layers.grouped_batchnorm import GroupedBatchNorm
from bnlab.layers.nlms import NlmsConv2d
from bnlab.layers.rms_norm import RmsNorm
from bnlab.layers.threshold_norm import ThresholdNorm
from bnlab.theory.modes import EffectiveEigenvalues, effective_eigenvalues


def empirical_ntk(model: nn.Module, inputs: Tensor, through_statistics: bool = True) -> Tensor:
    """Empirical tangent kernel K = J J^T of all logits, (n*C, n*C) float64; entry (i C + c, j C + d).

    inputs: (n, ...), all in one batch, whose statistics every batch normalisation uses. model gives logits (n, C) or
    (n,). It is copied in float64 and its mode ignored: nothing of it changes, running statistics included. All
    parameters that require a gradient count; a parameter that the logits do not reach counts 0. J is never held for
    the weights of a `torch.nn.Linear`, whose part of K is sum_bb' (delta_b . delta_b') (h_b . h_b') over the layer's
    inputs h and the logits' gradients delta at its outputs; those weights must be used by such layers alone.

    >>> line = nn.Linear(2, 1)  # one logit: J = (x, 1)
    >>> empirical_ntk(line, torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[ 6., 12.],
            [12., 26.]], dtype=torch.float64)

    Raises:
        ValueError: no input, logits of another shape, no parameter with a gradient; dropout, spectral_norm or weights
            made by a hook (no fixed function of the parameters), `NlmsConv2d` (its backward pass is no derivative),
            weights of a linear layer that something else uses as well; a logit that is not finite; or statistics to be
            held in a layer that cannot (`ThresholdNorm`, `GroupedBatchNorm`).
    """
    checks.tensor("inputs", inputs, "(n, ...)", half=True, finite=False)
    _refuse_what_has_no_kernel(model)
    twin = copy.deepcopy(model).double().train()
    if not any(p.requires_grad for p in twin.parameters()):
        raise ValueError("model: no parameter requires a gradient")
    if not through_statistics:
        _hold_statistics(twin)
    captured = _capture_linears(twin)
    with torch.enable_grad():
        logits = _logits(twin, inputs.double())
        if logits.shape[:1] != inputs.shape[:1] or logits.ndim > 2:
            raise ValueError(f"model: logits {tuple(logits.shape)} for inputs {tuple(inputs.shape)} are not (n, C)")
        if not torch.isfinite(logits).all():
            raise ValueError("inputs: a logit is not finite")
        linear = {id(weight) for weight, _ in captured.values()}
        others = [p for p in twin.parameters() if p.requires_grad and id(p) not in linear]
        uses = [(group, x, z) for group, (_, pairs) in captured.items() for x, z in pairs]
        gradients = _gradients(logits.flatten(), [z for _, _, z in uses] + others)  # one (n*C, ...) a tensor
        _refuse_other_uses(logits, [weight for weight, _ in captured.values()])
    kernel = logits.new_zeros(logits.numel(), logits.numel())
    by_weight = defaultdict(list)
    for (group, x, _), delta in zip(uses, gradients, strict=False):
        by_weight[group].append((x.flatten(0, -2), delta.flatten(1, -2)))  # (b, in), (n*C, b, out)
    for pairs in by_weight.values():
        h, delta = torch.cat([x for x, _ in pairs]), torch.cat([d for _, d in pairs], 1)
        kernel += torch.einsum("kbo,lbo->kl", delta, torch.einsum("bc,lco->lbo", h @ h.T, delta))
    for rows in gradients[len(uses) :]:
        kernel += rows.flatten(1) @ rows.flatten(1).T
    if not torch.isfinite(kernel).all():
        raise ValueError("model: a derivative of a logit is not finite")
    return (kernel + kernel.T) / 2


def fisher_gram(kernel: Tensor, logits: Tensor, likelihood: str = "softmax") -> Tensor:
    """Matrix (n*C, n*C) float64 with the eigenvalues of the Fisher information, all but its zeros.

    kernel (n*C, n*C) is `empirical_ntk`, logits (n, C) those of the same inputs. "gaussian", errors of unit variance
    (Karakida et al. 2019): F = J^T J / n, and the matrix is K / n. "softmax": F = J^T Lambda J / n with Lambda =
    diag(p) - p p^T for each input, and the matrix is Lambda^(1/2) K Lambda^(1/2) / n.

    Raises:
        ValueError: if logits are not (n, C) with n*C the side of the square kernel, an entry is not a finite float32 or
            float64 number, or the likelihood is another word.
    """
    checks.tensor("kernel", kernel)
    checks.tensor("logits", logits)
    if logits.ndim != 2 or kernel.shape != (logits.numel(), logits.numel()):
        raise ValueError(f"kernel: shape {tuple(kernel.shape)} is not (n*C, n*C) for logits {tuple(logits.shape)}")
    checks.choice("likelihood", likelihood, ("softmax", "gaussian"))
    kernel = kernel.double() / len(logits)
    if likelihood == "gaussian":
        return kernel
    p = logits.detach().double().softmax(1)  # (n, C)
    spread = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]  # (n, C, C), Lambda
    values, vectors = torch.linalg.eigh(spread)
    root = torch.block_diag(*(vectors * values.clamp(min=0).sqrt()[:, None, :] @ vectors.mT))  # (n*C, n*C)
    return root @ kernel @ root


def kernel_spectrum(kernel: Tensor) -> EffectiveEigenvalues:
    """Top eigenvalue, pseudo condition number and number of dead directions of a kernel or Fisher Gram matrix.

    Batch statistics make directions exactly dead: a shift of a normalised channel's whole batch moves no logit.

    Raises:
        ValueError: as `effective_eigenvalues`.
    """
    return effective_eigenvalues(checks.square("kernel", kernel))


def _logits(twin: nn.Module, inputs: Tensor) -> Tensor:
    try:
        return twin(inputs)
    except (RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"inputs: shape {tuple(inputs.shape)} does not pass the model: {reason}") from error


def _refuse_what_has_no_kernel(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if isinstance(module, _DropoutNd) and module.p > 0:
            raise ValueError("model: it has dropout, so its logits are no fixed function of the parameters")
        if isinstance(module, NlmsConv2d) and module.norm != "none":
            raise ValueError(f"model: {name!r} is an NlmsConv2d, whose backward pass is its update, no derivative")
        hooked = {type(hook).__name__ for hook in module._forward_pre_hooks.values()} & {"WeightNorm", "SpectralNorm"}
        iterated = parametrize.is_parametrized(module) and any(
            isinstance(part, _SpectralNorm) for parts in module.parametrizations.values() for part in parts
        )
        if hooked or iterated:
            raise ValueError(
                f"model: the weight of {name!r} is made anew at every pass (spectral_norm, or weight_norm by a hook); "
                "remove that first, or use torch.nn.utils.parametrizations.weight_norm"
            )


def _hold_statistics(twin: nn.Module) -> None:
    """Make every batch normalisation use the statistics of its present input as constants (eval mode's formula)."""

    @torch.no_grad()
    def hold(module: nn.Module, args: tuple[Tensor]) -> None:
        over = [0, *range(2, args[0].ndim)]
        if isinstance(module, RmsNorm):
            module.running_power = args[0].square().mean(over)
            return
        module.running_mean = args[0].mean(over)
        module.running_var = args[0].var(over, unbiased=False)  # what training divides by

    for module in twin.modules():
        if isinstance(module, ThresholdNorm):
            raise ValueError("through_statistics: False, but ThresholdNorm has no statistics to hold: its mask moves")
        if isinstance(module, GroupedBatchNorm):
            raise ValueError("through_statistics: False, but GroupedBatchNorm has other statistics for each group")
        if isinstance(module, (_BatchNorm, BatchNorm, RmsNorm)):
            module.eval()
            module.register_forward_pre_hook(hold)


def _capture_linears(twin: nn.Module) -> dict[int, tuple[Tensor, list[tuple[Tensor, Tensor]]]]:
    """Have each linear layer note (input, output) at each use; by weight, since one weight may serve two layers.

    At these uses the weight is a constant, so that a graph which reaches it shows another use (`_refuse_other_uses`).
    """
    captured: dict[int, tuple[Tensor, list[tuple[Tensor, Tensor]]]] = {}

    def prepare(module: nn.Linear, weight: nn.Parameter) -> None:
        def hold(module: nn.Linear, args: tuple[Tensor]) -> None:
            module._parameters["weight"] = nn.Parameter(weight.detach(), requires_grad=False)

        def note(module: nn.Linear, args: tuple[Tensor], z: Tensor) -> Tensor:
            module._parameters["weight"] = weight
            z = z if z.requires_grad else z.detach().requires_grad_()  # a first layer without a bias
            captured.setdefault(id(weight), (weight, []))[1].append((args[0].detach().clone(), z))
            return z.clone()  # the next layer may work in place

        module.register_forward_pre_hook(hold)
        module.register_forward_hook(note)

    for module in twin.modules():
        if type(module) is nn.Linear and module.weight.requires_grad:
            prepare(module, module.weight)
    return captured


def _refuse_other_uses(logits: Tensor, weights: list[Tensor]) -> None:
    """Refuse linear weights that the logits see otherwise than through their layers' uses."""
    if weights and any(g is not None for g in torch.autograd.grad(logits.sum(), weights, allow_unused=True)):
        raise ValueError("model: the weights of a linear layer are used by something else as well")


def _gradients(logits: Tensor, tensors: list[Tensor]) -> list[Tensor]:
    """Gradients of each logit (k,) by each tensor: a list of (k, *shape)."""
    rows = [
        torch.autograd.grad(logit, tensors, retain_graph=True, allow_unused=True, materialize_grads=True)
        for logit in logits
    ]
    return [torch.stack(column) for column in zip(*rows, strict=True)]


def parity_task(dataset: Dataset, images: int, seed: int) -> tuple[Tensor, Tensor]:
    """Some training images (n, C, H, W) float64, stratified by class, and the parity of their labels, -1 or 1 (n,).

    Both are on the device of the data set; which images are drawn is the same everywhere.
    """
    chosen = dataset.subset(train=images, seed=seed)
    x = dataset.normalise(chosen.train_images, torch.float64)
    return x, (2.0 * (chosen.train_labels % 2) - 1).to(x)
