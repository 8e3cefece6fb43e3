"""The ResNet of 6n + 2 layers against its definition written out, and its arms, which differ in the norm alone."""

import pytest
import torch
from torch.nn import functional

from bnlab.models.resnet import NORMALISATIONS, PLACEMENTS, ResNet
from bnlab.randomness import generator


def make(depth=8, seed=0, **options):
    return ResNet(depth, generator=generator(seed, "weights"), **options).double()


def images(*shape, seed=1):
    return torch.randn(*shape, generator=generator(seed, "images"), dtype=torch.float64)


@pytest.mark.parametrize(("depth", "count"), [(20, 269_722), (56, 853_018), (110, 1_727_962)])
def test_parameter_counts_of_he_et_al(depth, count):
    net = make(depth)
    assert sum(p.numel() for p in net.parameters()) == count
    assert len(net.convolutions) == depth - 1
    assert [name for name, _ in net.named_parameters() if name.startswith("conv")] == [
        f"convolutions.{k}.weight" for k in range(depth - 1)
    ]
    affine = sum(p.numel() for p in net.norms.parameters())
    assert affine == 2 * (16 * (2 * (depth - 2) // 6 + 1) + (32 + 64) * 2 * (depth - 2) // 6)
    assert sum(p.numel() for p in make(depth, placement="nowhere").parameters()) == count - affine
    assert sum(p.numel() for p in make(depth, placement="last").parameters()) == count - affine + 128
    assert sum(p.numel() for p in make(depth, placement="all but last").parameters()) == count - 128


def normalise(x, norm):
    """Each normalisation by its definition, at affine map 1, 0."""
    if norm == "none":
        return x
    images, channels = x.shape[:2]
    groups = {"layer": 1, "group": 8, "instance": channels}.get(norm)
    if groups is None:
        mean, square = x.mean((0, 2, 3), keepdim=True), x.square().mean((0, 2, 3), keepdim=True)
        return (x - mean) / (square - mean**2 + 1e-5).sqrt()
    parts = x.reshape(images, groups, -1)
    mean = parts.mean(2, keepdim=True)
    return ((parts - mean) / ((parts - mean).square().mean(2, keepdim=True) + 1e-5).sqrt()).reshape(x.shape)


def by_hand(weights, head, x, norm, placement):
    """He et al. 2016, Sec. 4.2, as one function of the weights; convolutions as sums of nine shifted products."""

    def convolve(x, weight, stride):
        padded = functional.pad(x, (1, 1, 1, 1))
        high, wide = x.shape[2:]
        total = sum(
            torch.einsum("bihw,oi->bohw", padded[:, :, a : a + high, b : b + wide], weight[:, :, a, b])
            for a in range(3)
            for b in range(3)
        )
        return total[:, :, ::stride, ::stride]

    last = len(weights) - 1
    where = {"everywhere": range(last + 1), "all but last": range(last)}.get(placement, ())

    def layer(x, k, stride=1):
        return normalise(convolve(x, weights[k], stride), norm if k in where else "none")

    x = layer(x, 0).clamp(min=0)
    channels = weights[0].shape[0]
    for k in range(1, last, 2):
        stride = 2 if weights[k].shape[0] > channels else 1
        inner = layer(layer(x, k, stride).clamp(min=0), k + 1)
        skipped = x[:, :, ::stride, ::stride]
        if stride == 2:
            skipped = torch.cat([skipped, torch.zeros_like(skipped)], 1)
        channels = weights[k].shape[0]
        x = inner + skipped
        x = normalise(x, norm if placement == "last" and k + 1 == last else "none").clamp(min=0)
    return x.mean(3).mean(2) @ head[0].T + head[1]


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("norm", NORMALISATIONS)
@pytest.mark.parametrize("initialisation", ["xavier", "kaiming"])
def test_forward_is_the_definition(norm, placement, initialisation):
    net = make(14, norm=norm, placement=placement, initialisation=initialisation)
    with torch.no_grad():
        net.fc.bias.copy_(images(10))  # zero at the start, and then nothing would be seen of it
    x = images(3, 3, 12, 8)
    weights = [c.weight.detach() for c in net.convolutions]
    expected = by_hand(weights, (net.fc.weight.detach(), net.fc.bias.detach()), x, norm, placement)
    torch.testing.assert_close(net(x).detach(), expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))


@pytest.mark.parametrize("initialisation", ["xavier", "kaiming"])
def test_weights_have_the_variance_of_their_initialisation(initialisation):
    net = make(20, initialisation=initialisation)
    for k, (fan_in, fan_out) in {3: (144, 144), 7: (144, 288), 15: (576, 576)}.items():
        variance = {"xavier": 2 / (fan_in + fan_out), "kaiming": 2 / fan_in}[initialisation]
        weight = net.convolutions[k].weight
        assert abs(float(weight.detach().square().mean()) / variance - 1) < 4 * (2 / weight.numel()) ** 0.5
    assert float(net.fc.bias.detach().abs().max()) == 0


@pytest.mark.parametrize("initialisation", ["xavier", "kaiming"])
def test_arms_have_identical_weights(initialisation):
    plain = make(placement="nowhere", initialisation=initialisation).state_dict()
    for norm in NORMALISATIONS:
        for placement in PLACEMENTS:
            other = make(norm=norm, placement=placement, initialisation=initialisation).state_dict()
            assert all(torch.equal(plain[name], other[name]) for name in plain)
            assert all("norm" in name for name in other.keys() - plain.keys())
    assert not torch.equal(make(seed=1).convolutions[0].weight, make(seed=2).convolutions[0].weight)


def test_every_parameter_gets_a_gradient():
    for norm in NORMALISATIONS:
        for placement in PLACEMENTS:
            net = make(norm=norm, placement=placement)
            functional.cross_entropy(net(images(6, 3, 16, 16)), torch.arange(6)).backward()
            assert all(p.grad is not None and p.grad.abs().max() > 1e-12 for p in net.parameters()), (norm, placement)


def test_names_are_in_forward_order_and_the_stream_is_that_of_even_relus():
    net, order, streams = make(14), [], {}
    for name, module in net.named_modules():
        if name.startswith("convolutions."):
            module.register_forward_hook(lambda *_, name=name: order.append(name))
        if name.startswith("relus."):
            module.register_forward_hook(lambda _, i, o, name=name: streams.update({name: o}))
    net(images(2, 3, 8, 8))
    assert order == [f"convolutions.{k}" for k in range(13)]
    assert list(streams) == [f"relus.{k}" for k in range(13)]
    inner = net.norms[2](net.convolutions[2](streams["relus.1"]))
    torch.testing.assert_close(streams["relus.2"], (streams["relus.0"] + inner).relu())


def test_any_channels_classes_and_width_and_nothing_global_is_drawn():
    before = torch.get_rng_state()
    net = make(8, in_channels=1, classes=4, width=4)
    assert torch.equal(torch.get_rng_state(), before)
    assert net(images(2, 1, 32, 32)).shape == (2, 4)
    assert [c.out_channels for c in net.convolutions] == [4, 4, 4, 8, 8, 16, 16]
    assert [c.stride[0] for c in net.convolutions] == [1, 1, 1, 2, 1, 2, 1]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: make(21), r"depth: 21 is not 6n \+ 2"),
        (lambda: make(2), "depth: 2 is not a whole number of at least 8"),
        (lambda: make(norm="bacth"), "norm: 'bacth' is not one of 'batch', 'layer', 'group', 'instance'"),
        (lambda: make(placement="first"), "placement: 'first' is not one of 'everywhere'"),
        (lambda: make(initialisation="he"), "initialisation: 'he' is not one of 'xavier', 'kaiming'"),
        (lambda: make(width=0), "width: 0 is not a whole number"),
        (lambda: make(classes=0), "classes: 0 is not a whole number"),
        (lambda: make(in_channels=True), "in_channels: True is not a whole number"),
        (lambda: make()(images(2, 1, 8, 8)), r"images: shape \(2, 1, 8, 8\) is not \(B, 3, H, W\)"),
        (lambda: make()(images(3, 8, 8)), r"images: shape \(3, 8, 8\) is not"),
        (lambda: make()(images(2, 3, 8, 8).float()), "images: torch.float32 where the network holds torch.float64"),
    ],
)
def test_bad_input_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)
