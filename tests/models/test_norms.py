"""The registry of normalisations."""

import pytest
import torch
from torch import nn

from bnlab.models import norms


@pytest.mark.parametrize("name", list(norms.NORMS))
def test_every_entry_makes_modules_for_its_channels(name):
    norm, x = norms.find_norm(name), torch.randn(4, 5, 6, 6, generator=torch.Generator().manual_seed(0))
    for side in (norm.before(5), norm.after(5)):
        assert side(x).shape == x.shape


def test_where_batch_normalisation_stands():
    sides = {name: (type(norm.before(3)), type(norm.after(3))) for name, norm in norms.NORMS.items()}
    assert sides["none"] == (nn.Identity, nn.Identity)
    assert sides["batch"] == (nn.Identity, nn.BatchNorm2d)
    assert sides["batch_prior"] == (nn.BatchNorm2d, nn.Identity)


def test_amplify_and_suppress_are_named_by_what_they_do():
    below = {name: norm.after(3).where for name, norm in norms.NORMS.items() if "ress" in name or "amplify" in name}
    assert below == {
        "amplify": "below",
        "suppress": "above",
        "amplify_variance": "below",
        "suppress_variance": "above",
        "amplify_literal": "above",
        "suppress_literal": "below",
    }


def test_which_norms_are_convolutions():
    kinds = {"weight_norm": "WeightNormConv2d"}
    for name, norm in norms.NORMS.items():
        layer = norm.make_convolution(2, 3, 5)
        assert isinstance(layer, nn.Conv2d)
        assert type(layer).__name__ == kinds.get(name, "NlmsConv2d" if name.startswith("nlms") else "Conv2d")


def test_a_normalised_convolution_has_set_no_gain_before_its_weights_are_drawn():
    assert norms.find_norm("weight_norm").make_convolution(2, 3, 5).gain.isnan().all()


def test_a_wrong_name_is_told_the_right_ones():
    with pytest.raises(ValueError, match="norm: 'Batch' is not one of 'none', 'batch', 'batch_prior'"):
        norms.find_norm("Batch")
