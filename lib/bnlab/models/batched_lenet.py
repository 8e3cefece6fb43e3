"""Several LeNets computed as one: parameters stacked, layers that are alike in one call.

Parameters of all networks lie in one tensor a name, and each network's own parameters and gradients are views of it:
an update of the stack updates them, and whatever looks at a single network sees it as if it stood alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from bnlab.layers.rms_norm import RmsNorm
from bnlab.layers.threshold_norm import ThresholdNorm
from bnlab.models.lenet import LeNet

# A LeNet is a row of stations; between them stand ReLU and pooling, which have no state.
STATIONS = ("before1", "conv1", "norm1", "before2", "conv2", "norm2", "fc")
# Each channel by itself: n modules of C channels are one of n C channels.
PER_CHANNEL = (nn.BatchNorm2d, ThresholdNorm, RmsNorm)


class BatchedLeNets:
    """Networks in train mode, computed together.

    ``parameters`` has a stack (n, ...) for each name, ``.grad`` included, of the networks at the places ``holders`` of
    that name: norms differ, so not every network has every parameter. The stacks replace the tensors of the networks,
    until `release`.

    Raises:
        ValueError: no networks, one that is no LeNet, or networks of different input channels or classes.
    """

    def __init__(self, models: Sequence[LeNet]):
        for model in models:
            if not isinstance(model, LeNet):
                raise ValueError(f"models: {type(model).__name__} is not a LeNet")
        shapes = {(model.conv1.in_channels, model.fc.out_features) for model in models}
        if len(shapes) != 1:
            raise ValueError(f"models: (input channels, classes) must be one pair for all, not {sorted(shapes)}")
        self.models = [model.train() for model in models]
        self.holders: dict[str, list[int]] = {}
        for place, model in enumerate(self.models):
            for name, _ in model.named_parameters():
                self.holders.setdefault(name, []).append(place)
        self.parameters = {name: self._stacked(name) for name in self.holders}
        self._stations = [_Layer(name, self) for name in STATIONS]

    def _stacked(self, name: str) -> Tensor:
        own = [self.models[place].get_parameter(name) for place in self.holders[name]]
        stack = torch.stack([parameter.detach() for parameter in own]).requires_grad_()  # (n, ...)
        stack.grad = torch.zeros_like(stack)
        for parameter, row, gradient in zip(own, stack.detach(), stack.grad, strict=True):
            parameter.data, parameter.grad = row, gradient
        return stack

    def __call__(self, images: Tensor) -> Tensor:
        """Logits (n, B, classes) of images (n, B, C, 32, 32), each network its own."""
        self.models[0]._check(images[0])  # the same for all
        before1, conv1, norm1, before2, conv2, norm2, fc = self._stations
        x = _pooled(norm1(conv1(before1(images))))  # (n, B, 6, 14, 14)
        x = _pooled(norm2(conv2(before2(x))))  # (n, B, 16, 5, 5)
        return fc(x.flatten(2))

    def zero_gradients(self) -> None:
        """Set all gradients to zero in place: the networks' own are views of them."""
        for stack in self.parameters.values():
            stack.grad.zero_()

    def take_gradients(self, place: int) -> None:
        """Take the gradients that a network was given in place of its views of the stacks into the stacks."""
        for name, parameter in self.models[place].named_parameters():
            row = self.parameters[name].grad[self.holders[name].index(place)]
            if parameter.grad.data_ptr() != row.data_ptr():
                row.copy_(parameter.grad)
                parameter.grad = row

    def unstack(self, place: int) -> None:
        """Give a network the buffers (running statistics, masks) that the joint computation holds for it."""
        for station in self._stations:
            station.unstack(place)

    def release(self) -> None:
        """Give all networks their buffers, and tensors of their own again."""
        for place, model in enumerate(self.models):
            self.unstack(place)
            for parameter in model.parameters():
                parameter.data, parameter.grad = parameter.detach().clone(), None


def _pooled(x: Tensor) -> Tensor:
    """ReLU and 2 x 2 average pooling of maps (n, B, C, H, W)."""
    return functional.avg_pool2d(functional.relu(x.flatten(0, 1)), 2).unflatten(0, x.shape[:2])


class _Layer:
    """One layer of all networks: those alike in one computation, any other each by its own module."""

    def __init__(self, name: str, nets: BatchedLeNets):
        modules = [model.get_submodule(name) for model in nets.models]
        places: dict[object, list[int]] = {}
        for place, module in enumerate(modules):
            places.setdefault(_kind(module), []).append(place)
        self.groups = [_Group(name, here, [modules[i] for i in here], nets) for here in places.values()]
        order = [place for group in self.groups for place in group.places]
        self.back = [order.index(place) for place in range(len(order))]

    def __call__(self, x: Tensor) -> Tensor:
        if len(self.groups) == 1:
            return self.groups[0](x)
        return torch.cat([group(x[group.places]) for group in self.groups])[self.back]

    def unstack(self, place: int) -> None:
        for group in self.groups:
            group.unstack(place)


def _kind(module: nn.Module) -> object:
    """What modules must share to be computed as one: class, settings and counters; for the rest, the module itself."""
    if isinstance(module, PER_CHANNEL) or type(module) in (nn.Identity, nn.Conv2d, nn.Linear):
        plain = {k: v for k, v in vars(module).items() if isinstance(v, int | float | str | tuple) and k != "training"}
        counters = {k: int(v) for k, v in module._buffers.items() if v.ndim == 0}
        return type(module), tuple(sorted({**plain, **counters}.items()))
    return id(module)


class _Group:
    """Networks whose modules at a station are alike."""

    def __init__(self, station: str, places: list[int], modules: list[nn.Module], nets: BatchedLeNets):
        self.places, self.modules = places, modules
        # Rows of a name's stack are the networks that have the parameter, a group may be some of them.
        self.rows = {}
        for name, _ in modules[0].named_parameters():
            holders = nets.holders[f"{station}.{name}"]
            self.rows[name] = nets.parameters[f"{station}.{name}"], [holders.index(place) for place in places]
        self.joint = _joined(modules) if isinstance(modules[0], PER_CHANNEL) else None
        self.compute = self._computation(modules[0])

    def _computation(self, module: nn.Module) -> Callable[[Tensor], Tensor]:
        if isinstance(module, nn.Identity):
            return lambda x: x
        if self.joint is not None:
            return self._normalise
        if type(module) is nn.Linear:
            return lambda x: torch.baddbmm(self._weights("bias").unsqueeze(1), x, self._weights("weight").mT)
        return self._convolve if type(module) is nn.Conv2d else self._one_by_one

    def __call__(self, x: Tensor) -> Tensor:
        return self.compute(x)

    def _weights(self, name: str) -> Tensor:
        stack, rows = self.rows[name]
        return stack if len(rows) == len(stack) else stack[rows]

    def _convolve(self, x: Tensor) -> Tensor:
        layer, (n, images) = self.modules[0], x.shape[:2]
        patches = functional.unfold(x.flatten(0, 1), layer.kernel_size).unflatten(0, (n, images))  # (n, B, K, M)
        y = self._weights("weight").flatten(2).unsqueeze(1) @ patches  # (n, B, OC, M)
        height, width = (size - k + 1 for size, k in zip(x.shape[3:], layer.kernel_size, strict=True))
        return (y + self._weights("bias").view(n, 1, -1, 1)).unflatten(3, (height, width))

    def _normalise(self, x: Tensor) -> Tensor:
        n, _, channels = x.shape[:3]
        for name in self.rows:
            self.joint._parameters[name] = self._weights(name).flatten()  # (n C,)
        y = self.joint(x.transpose(0, 1).flatten(1, 2))  # (B, n C, H, W)
        return y.unflatten(1, (n, channels)).transpose(0, 1)

    def _one_by_one(self, x: Tensor) -> Tensor:
        # Gradients land in the stacks all the same: a network's gradients are views of theirs.
        return torch.stack([module(own) for module, own in zip(self.modules, x, strict=True)])

    def unstack(self, place: int) -> None:
        if self.joint is None or place not in self.places:
            return
        i, count = self.places.index(place), len(self.places)
        for name, buffer in self.joint._buffers.items():
            own = buffer.unflatten(0, (count, -1))[i] if buffer.ndim else buffer
            self.modules[i]._buffers[name] = own.clone()


def _joined(modules: Sequence[nn.Module]) -> nn.Module:
    """One module with the channels of all: their buffers end to end; parameters are put in at each step."""
    joint = copy.deepcopy(modules[0])
    for name, buffer in joint._buffers.items():
        if buffer.ndim:
            joint._buffers[name] = torch.cat([module._buffers[name] for module in modules])  # (n C,)
    return joint
