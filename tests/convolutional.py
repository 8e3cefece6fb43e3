"""A small convolutional network that is not the book's, with weights of its own in float64, and numbers for it."""

import torch
from torch import nn


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seeded(net, seed=7):
    """Weights of its own in float64, the global generator left alone."""
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.double().parameters():
            parameter.copy_(0.4 * torch.randn(parameter.shape, generator=draws, dtype=torch.float64))
    return net


def convolutional(norm=True):
    with torch.random.fork_rng():
        first = [nn.Conv2d(2, 3, 3)] + ([nn.BatchNorm2d(3)] if norm else [])
        return seeded(nn.Sequential(*first, nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(48, 5), nn.Tanh(),
                                    nn.Linear(5, 3)))  # fmt: skip
