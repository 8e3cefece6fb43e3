"""The cost of a sweep is linear in its networks, in its steps and in the images it is tested on: over two decades.

Processor time on one core. The group's name carries the slope of log time against log size, fitted to all sizes; what
a run pays once (its first images, the arrays) bends the small end, so that the slope lies a little below one.
"""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from bnlab import datasets
from bnlab.models.lenet import LeNet
from bnlab.randomness import generator
from bnlab.training.many import evaluate, train_many
from bnlab.training.train import Job

SIZES = (1, 3, 10, 30, 100)  # times what one run has
STEPS, IMAGES, BATCH = 8, 1440, 64


def networks(times, digits):
    jobs = [Job(made(), generator(0, "order"), 0.01) for _ in range(times)]
    return lambda: train_many(jobs, digits, steps=STEPS, batch_size=BATCH)


def steps(times, digits):
    jobs = [Job(made(), generator(0, "order"), 0.01)]
    return lambda: train_many(jobs, digits, steps=STEPS * times, batch_size=BATCH)


def images(times, digits):
    place = torch.arange(IMAGES * times) % len(digits.test_labels)
    more = replace(digits, test_images=digits.test_images[place], test_labels=digits.test_labels[place])
    model = made().eval()
    return lambda: evaluate(model, more)


def made():
    return LeNet(norm="batch", generator=generator(0, "initialisation"))


def seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start


@pytest.mark.parametrize("of", [networks, steps, images], ids=lambda of: of.__name__)
def test_cost_is_linear(benchmark, of):
    digits = datasets.load("digits")
    of(1, digits)()  # compiles, or loads what was compiled
    fastest = [min(seconds(of(times, digits)) for _ in range(3)) for times in SIZES]
    slope = np.polyfit(np.log(SIZES), np.log(fastest), 1)[0]
    benchmark.group = f"{of.__name__} x 1 to {SIZES[-1]}: cost grows with the power {slope:.2f}"
    benchmark._timer = time.process_time
    benchmark.pedantic(of(SIZES[-1], digits), rounds=1)
    assert slope == pytest.approx(1, abs=0.15), dict(zip(SIZES, fastest, strict=True))
