"""Random streams keyed by (seed, purpose)."""

import hashlib
import math

import numpy as np
import pytest
import torch

from bnlab.randomness import generator


def draws(seed, purpose, count=20_000):
    return torch.randn(count, generator=generator(seed, purpose), dtype=torch.float64)


def test_one_key_gives_one_stream():
    assert torch.equal(draws(3, "noise"), draws(3, "noise"))
    assert torch.equal(draws(np.int64(3), "noise"), draws(3, "noise"))


def test_key_is_hashed_as_documented():
    digest = hashlib.sha256(b"7:order of mini-batches").hexdigest()
    assert generator(7, "order of mini-batches").initial_seed() == int(digest[:8], 16)


def test_stream_is_the_same_on_every_machine():
    # Integers drawn once and written down: a change of torch's generator or of the hash must be noticed.
    drawn = torch.randint(1000, (6,), generator=generator(0, "initialisation"))
    assert drawn.tolist() == [611, 465, 780, 647, 488, 502]


def test_streams_of_different_keys_are_uncorrelated():
    streams = [draws(seed, purpose) for seed in (-1, 0, 1, 2) for purpose in ("noise", "initialisation", "order")]
    correlations = torch.corrcoef(torch.stack(streams))
    worst = (correlations - torch.eye(len(streams))).abs().max()
    # 66 pairs: the largest of 66 normal deviates stays under five standard deviations, 1 / sqrt(n) each.
    assert worst < 5 / math.sqrt(20_000)


def test_neighbouring_seeds_do_not_share_a_stream():
    # The trap of seed + 1 for a second purpose: the streams of 40 seeds and two purposes are all distinct.
    starts = {generator(seed, purpose).initial_seed() for seed in range(40) for purpose in ("a", "b")}
    assert len(starts) == 80


def test_nothing_global_is_touched():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    draws(0, "noise")
    assert torch.equal(torch.get_rng_state(), before)


def test_generator_lives_on_the_cpu():
    assert generator(0, "noise").device.type == "cpu"


@pytest.mark.parametrize("seed", [0.0, "0", None, True, [0]])
def test_wrong_seed_is_one_clear_line(seed):
    with pytest.raises(ValueError, match=r"^seed=.* must be an integer, such as seed=0$"):
        generator(seed, "noise")


@pytest.mark.parametrize("purpose", ["", "  ", 3, None, b"noise"])
def test_wrong_purpose_is_one_clear_line(purpose):
    with pytest.raises(ValueError, match=r"^purpose=.* must say what the numbers are for, such as .*$"):
        generator(0, purpose)
