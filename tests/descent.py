"""A matrix R with a known spectrum, and gradient descent on it, for tests of what theory says of them."""

import torch

SPECTRUM = torch.tensor([0.1, 0.3, 0.6, 1.0], dtype=torch.float64)


def rotation(size, seed=0):
    gaussian = torch.randn(size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return torch.linalg.qr(gaussian).Q


def rotated(spectrum, seed=0):
    Q = rotation(len(spectrum), seed)
    return Q @ torch.diag(spectrum) @ Q.T


def weight_errors(R, mu, C, steps):
    """Equation 5, iterated: C(n+1) = [I - mu R] C(n)."""
    errors = [C]
    for _ in range(steps):
        errors.append(errors[-1] - mu * (R @ errors[-1]))
    return torch.stack(errors)
