"""One training step of LeNet, compiled: forward pass and cross-entropy, backward pass, gradient descent."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bnlab.training.compiled.activation import activate, activate_backward, rectify_backward
from bnlab.training.compiled.jit import compiled, entry, inlined
from bnlab.training.compiled.lengths import fix_lengths, keep_tangential
from bnlab.training.compiled.nlms import PLAIN, Nlms, add_noise, normalised_gradient
from bnlab.training.compiled.normalisation import NONE, NormState, apply, apply_backward, choose
from bnlab.training.compiled.products import connect, connect_backward, convolve, input_gradient, weight_gradient

FORWARD, BACKWARD, DESCEND = 1, 2, 4  # phases of a step


class Layer(NamedTuple):
    """One convolution with what stands around it, its parameters and gradients, and its maps."""

    weight: np.ndarray  # (O, C, 5, 5) float32, as all arrays here
    bias: np.ndarray
    weight_grad: np.ndarray
    bias_grad: np.ndarray
    before: NormState
    after: NormState
    nlms: Nlms
    x: np.ndarray  # (C, S, S, lanes): what the convolution sees
    y: np.ndarray  # (O, R, R, lanes): its output, then the errors there
    pooled: np.ndarray  # (O, R/2, R/2, lanes): what the next layer is given, then the errors there
    kernel: np.ndarray  # (O, C, 5, 5): what convolves; the weight itself, or the weight at its fixed lengths
    lengths: np.ndarray  # (O,) nan where not set yet; empty where the weight itself convolves


class Images(NamedTuple):
    """What a network is given."""

    all: np.ndarray  # (N, C, 32, 32) uint8
    labels: np.ndarray  # (N,) int64
    table: np.ndarray  # (C, 256): what a byte is worth
    given: np.ndarray  # (C, 32, 32, lanes): one mini-batch, normalised


class Head(NamedTuple):
    """The fully connected layer."""

    weight: np.ndarray  # (K, 400)
    bias: np.ndarray
    weight_grad: np.ndarray
    bias_grad: np.ndarray
    features: np.ndarray  # (400, lanes), the second layer's pooled maps
    logits: np.ndarray  # (K, lanes), then the errors there


class Descent(NamedTuple):
    """All parameters in a row, always as many flat arrays, empty where the network has not that one."""

    parameters: tuple
    gradients: tuple
    velocities: tuple  # empty without momentum
    rates: np.ndarray
    momentum: float
    decay: float


class Network(NamedTuple):
    """A LeNet with its data and how it learns."""

    images: Images
    one: Layer
    two: Layer
    head: Head
    descent: Descent
    zeros: np.ndarray  # (6,): going backward, products start at zero instead of a bias


@entry
def advance(network, order, phases, noises, losses, most):
    """Go through steps (or only some phases of them) on the mini-batches ``order`` (steps, B); give how many.

    A loss that is not finite or above ``most`` ends it, after the forward pass.
    """
    for step in range(len(order)):
        if phases & FORWARD:
            losses[step] = forward(network, order[step], True)
            if not losses[step] <= most:
                return step + 1
        if phases & BACKWARD:
            backward(network, len(order[step]), noises)
        if phases & DESCEND:
            descend(network.descent)
    return len(order)


@entry
def count_errors(network, size):
    """Wrongly classified images, and the sum of their cross-entropies, over all images, in eval mode."""
    labels, logits = network.images.labels, network.head.logits
    wrong, loss, chosen = 0, 0.0, np.arange(len(labels))
    for start in range(0, len(chosen), size):
        here = chosen[start : start + size]
        pass_through(network, here, False)
        for b in range(len(here)):
            best = 0
            for k in range(1, len(logits)):
                if not logits[k, b] <= logits[best, b]:  # the first nan, as torch.argmax
                    if np.isnan(logits[best, b]):
                        break
                    best = k
            wrong += best != labels[here[b]]
        loss += cross_entropy(logits, labels, here) * len(here)
    return wrong, loss


@inlined
def forward(network, chosen, training):
    """Give the loss of the chosen images, and leave the errors of the logits in their place."""
    pass_through(network, chosen, training)
    return cross_entropy(network.head.logits, network.images.labels, chosen)


@inlined
def pass_through(network, chosen, training):
    """Images to logits."""
    images, head, batch = network.images, network.head, len(chosen)
    gather(images, chosen)
    convolve_and_pool(network.one, images.given, batch, training)
    convolve_and_pool(network.two, network.one.pooled, batch, training)
    connect(head.features, head.weight, head.bias, head.logits)


@compiled
def gather(images, chosen):
    """Normalised images, one a lane; lanes beyond the batch are zero."""
    given, words = images.given, images.all.view(np.uint64)  # eight pixels at once, the first in the lowest byte
    for c in range(given.shape[0]):
        for i in range(given.shape[1]):
            for b in range(len(chosen)):  # a row at a time: read on end, and written to what the cache still holds
                for w in range(words.shape[3]):
                    word = words[chosen[b], c, i, w]
                    for k in range(8):
                        given[c, i, 8 * w + k, b] = images.table[c, np.uint8(word >> np.uint64(8 * k))]


@inlined
def convolve_and_pool(layer, given, batch, training):
    """From what a layer is given to its pooled maps."""
    if layer.before.kind != NONE:  # else the convolution's x is what the layer is given
        choose(layer.before, given, batch, training)
        apply(layer.before, given, layer.x, batch)
    if len(layer.lengths) > 0:
        fix_lengths(layer.weight, layer.lengths, layer.kernel, training)
    convolve(layer.x, layer.kernel, layer.bias, layer.y)
    choose(layer.after, layer.y, batch, training)
    activate(layer.after, layer.y, layer.pooled, batch)


@compiled
def cross_entropy(logits, labels, chosen):
    """Mean cross-entropy of the logits (K, lanes), whose gradient replaces them; zero beyond the batch."""
    batch, loss, exponentials = len(chosen), 0.0, np.empty(len(logits))
    for b in range(batch):
        top, label, total = logits[:, b].max(), labels[chosen[b]], 0.0
        for k in range(len(logits)):
            exponentials[k] = np.exp(np.float64(logits[k, b] - top))
            total += exponentials[k]
        loss += top + np.log(total) - logits[label, b]
        for k in range(len(logits)):
            logits[k, b] = (exponentials[k] / total - (k == label)) / batch
    logits[:, batch:] = 0
    return loss / batch


@inlined
def backward(network, batch, noises):
    """Set every gradient from the errors of the logits."""
    one, two, head, zeros = network.one, network.two, network.head, network.zeros
    connect_backward(head.features, head.weight, head.logits, head.weight_grad, head.bias_grad, zeros)
    layer_backward(two, batch, noises[1])
    input_gradient(two.y, two.kernel, two.x, zeros)  # without a norm before it, two.x is one.pooled
    if two.before.kind != NONE:
        apply_backward(two.before, one.pooled, two.x, batch)
    layer_backward(one, batch, noises[0])
    if one.before.kind != NONE:
        input_gradient(one.y, one.kernel, one.x, zeros)
        apply_backward(one.before, network.images.given, one.x, batch)


@inlined
def layer_backward(layer, batch, drawn):
    """From the errors of the pooled maps to those of the convolution's output, and the gradients on the way."""
    if layer.after.kind == NONE:
        rectify_backward(layer.y, layer.pooled, layer.bias_grad, batch)
    else:
        activate_backward(layer.after, layer.y, layer.pooled, layer.bias_grad, batch)
    errors = layer.y
    if layer.nlms.noise > 0:
        add_noise(layer.nlms, layer.y, drawn, batch)
        errors = layer.nlms.errors
    if layer.nlms.norm == PLAIN:
        weight_gradient(layer.x, errors, layer.weight_grad, 0, layer.x.shape[0])
    else:
        normalised_gradient(layer.nlms, layer.x, errors, layer.weight_grad, batch)
    if len(layer.lengths) > 0:
        keep_tangential(layer.weight, layer.lengths, layer.weight_grad)


@compiled
def descend(descent):
    """Stochastic gradient descent with momentum and weight decay, PyTorch's form; a rate of 0 leaves as it is."""
    momentum, decay = np.float32(descent.momentum), np.float32(descent.decay)
    for k in range(len(descent.parameters)):
        parameter, gradient, rate = descent.parameters[k], descent.gradients[k], descent.rates[k]
        if rate == 0:
            continue
        for i in range(len(parameter)):
            direction = gradient[i]
            if decay > 0:  # 0 times what is not finite is not 0
                direction += decay * parameter[i]
            if momentum > 0:
                direction += momentum * descent.velocities[k][i]
                descent.velocities[k][i] = direction
            parameter[i] -= rate * direction
