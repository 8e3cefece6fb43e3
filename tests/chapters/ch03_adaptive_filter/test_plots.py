"""The pictures of chapter 3 show what they were given: numbers, labels, medians, zeros; and can be read."""

import numpy as np
import pandas as pd
import pytest
import torch
from drawn import readable, texts
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from bnlab.chapters.ch03_adaptive_filter import plots as filters
from bnlab.chapters.ch03_adaptive_filter import unrolling
from bnlab.theory import patches

pytestmark = pytest.mark.usefixtures("book_style")


def every_axes(figure):
    return figure.findobj(Axes)


def convolution(kernel, stride=1, padding=0, dilation=1, size=4):
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-9, 10, (1, 2, size, size), generator=generator).double()
    w = torch.randint(-9, 10, (3, 2, kernel, kernel), generator=generator).double()
    X = patches.unroll(x, kernel, stride, padding, dilation)[0]
    y = patches.fold_output(w.flatten(1) @ X, patches.output_size(size, kernel, stride, padding, dilation))
    maps = torch.nn.functional.pad(x[0], (padding,) * 4)
    window = torch.zeros(maps.shape[1:], dtype=torch.bool)
    extent = dilation * (kernel - 1) + 1
    window[:extent:dilation, :extent:dilation] = True
    return [tensor.numpy() for tensor in (maps, w, X, y, window)]


def test_block_diagrams_carry_the_corrected_signs_inside_their_panels():
    figure = readable(filters.block_diagrams())
    words = " ".join(text.get_text() for text in texts(figure))
    assert r"+ 2\mu\,\mathbb{X}\varepsilon" in words
    assert r"\mathbb{D} = \mathbb{Y} - \delta" in words
    assert "- 2" not in words
    for axes in figure.axes:
        for text in axes.texts:
            box = text.get_window_extent()
            assert axes.bbox.x0 - 2 <= box.x0 < box.x1 <= axes.bbox.x1 + 2, text.get_text()


def test_each_box_holds_its_words():
    figure = readable(filters.block_diagrams())
    for axes in figure.axes:
        for box in axes.patches:
            frame = box.get_window_extent()
            inside = [t.get_window_extent() for t in axes.texts]
            held = [t for t in inside if frame.contains((t.x0 + t.x1) / 2, (t.y0 + t.y1) / 2) and t.width > 1]
            assert held
            assert all(frame.x0 < t.x0 and t.x1 < frame.x1 for t in held)


def test_pixels_that_slide_are_coloured_wherever_they_stand():
    labels = torch.arange(25).reshape(1, 1, 5, 5)
    unrolled = patches.unroll(labels + 1, 3)[0] - 1
    delays = torch.stack([torch.arange(6) - h for h in range(3)])
    figure = readable(unrolling.pixels_slide(delays.numpy(), 2, labels[0, 0].numpy(), unrolled.numpy(), [12, 0]))
    signal, vector, pixels, matrix = every_axes(figure)
    colour = {label: to_hex(pixels.patches[label].get_facecolor()) for label in (12, 0, 1)}
    assert len(set(colour.values())) == 3
    shown = [to_hex(cell.get_facecolor()) for cell in matrix.patches]
    assert shown.count(colour[12]) == 9  # the middle pixel meets all nine positions,
    assert shown.count(colour[0]) == 1  # the corner one
    assert [shown[i] == colour[12] for i in range(81)] == (unrolled == 12).flatten().tolist()
    assert sum(to_hex(cell.get_facecolor()) == colour[12] for cell in vector.patches) == 3
    assert sum(to_hex(cell.get_facecolor()) == colour[12] for cell in signal.patches) == 1


def test_more_pixels_than_colours_are_refused():
    grid = np.arange(9).reshape(3, 3)
    with pytest.raises(ValueError, match="followed: 5 labels"):
        unrolling.pixels_slide(grid, 0, grid, grid, [0, 1, 2, 3, 4])


def test_padding_is_grey_and_has_no_number():
    labels = torch.arange(9).reshape(1, 1, 3, 3)
    unrolled = (patches.unroll(labels + 1, 3, padding=1)[0] - 1).numpy()
    figure = unrolling.pixels_slide(labels[0, 0].numpy(), 0, labels[0, 0].numpy(), unrolled, [4])
    matrix = every_axes(figure)[-1]
    assert {text.get_text() for text in matrix.texts} == {str(label) for label in range(9)}
    assert sum(to_hex(cell.get_facecolor()) == "#dddddd" for cell in matrix.patches) == (unrolled < 0).sum()


@pytest.mark.parametrize(("most", "frames"), [(25, 4), (3, 3)])
def test_window_player_has_a_frame_a_window_but_not_too_many(monkeypatch, most, frames):
    monkeypatch.setattr(unrolling, "MOST_FRAMES", most)
    labels = torch.arange(16).reshape(1, 1, 4, 4)
    player = unrolling.window_slides(
        labels[0, 0].numpy(), patches.unroll(labels, 3).numpy()[0], [5], name="slide", alt="pixels & windows"
    )
    assert f'"m = {frames - 1}"' in player.data
    assert f'"m = {frames}"' not in player.data
    assert player.data.count("data:image/webp") == frames
    assert 'alt="pixels &amp; windows"' in player.data


def test_the_product_shows_the_numbers_of_the_convolution():
    maps, w, X, y, window = convolution(3)
    figure = readable(unrolling.restructured_convolution(maps, w, X, y, window))
    *_, patch_axes, weight_axes, product_axes = every_axes(figure)
    shown = [[float(text.get_text()) for text in axes.texts] for axes in (patch_axes, weight_axes, product_axes)]
    assert shown[0] == X.flatten().tolist()
    assert shown[1] == w.reshape(3, -1).T.flatten().tolist()
    np.testing.assert_allclose(shown[2], (X.T @ w.reshape(3, -1).T).flatten(), rtol=6e-3)
    assert patch_axes.get_title().endswith("18 × 4")


@pytest.mark.parametrize("geometry", [(5, 2, 1, 1, 5), (3, 1, 2, 2, 3), (1, 1, 0, 1, 2), (2, 1, 3, 1, 1)])
def test_any_geometry_is_drawn(geometry):
    arrays = convolution(*geometry)
    figure = readable(unrolling.restructured_convolution(*arrays))
    matrix = every_axes(figure)[-3]
    assert bool(matrix.texts) == (arrays[2].size <= unrolling.MOST_NUMBERS and len(arrays[2]) * 3 <= 110)


def test_the_two_signs_are_two_labelled_lines():
    losses = {"printed": [2, 3], "corrected": [2, 1]}
    table = pd.DataFrame([(n, loss, form) for form in losses for n, loss in enumerate(losses[form])])
    axes = readable(filters.sign_matters(table.set_axis(["step", "loss", "form"], axis=1))).axes[0]
    assert {line.get_label(): line.get_ydata().tolist() for line in axes.lines} == losses
    assert axes.get_yscale() == "log"


def test_layers_stand_on_the_curve_of_their_kernel():
    sizes = range(7, 40)
    table = pd.DataFrame([(s, k, patches.full_slide_fraction(s, k)) for k in (3, 5) for s in sizes])
    table.columns = ["size", "kernel_size", "share"]
    layers = pd.DataFrame({"layer": ["conv1", "conv2"], "size": [28, 12], "share": [0.5102, 0.1111]})
    axes = readable(filters.sliding_share(table, layers)).axes[0]
    curve = next(line for line in axes.lines if line.get_label() == "kernel 5 × 5")
    points = axes.lines[-1]
    np.testing.assert_allclose(np.interp(points.get_xdata(), *curve.get_data()), points.get_ydata(), atol=1e-4)
    assert any(text.get_text() == "conv2, 12 px" for text in axes.texts)


def test_drift_draws_medians_in_percent_and_leaves_out_what_a_network_lacks():
    rows = [("toy", "P", n, s, n * (s + 1) / 10) for n in range(4) for s in range(5)]
    rows += [("net", name, n, s, n * (s + 1) / 10) for name in ("P", "R") for n in range(4) for s in range(5)]
    figure = readable(filters.drift(pd.DataFrame(rows, columns=["network", "quantity", "step", "seed", "drift"])))
    toy, net = figure.axes
    assert [line.get_label() for line in toy.lines] == ["$P$"]
    assert [line.get_label() for line in net.lines] == ["$P$", "$R$"]
    np.testing.assert_allclose(toy.lines[0].get_data(), [[1, 2, 3], [30, 60, 90]])  # median seed: 3 n / 10
    band = toy.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((20, 120))


def test_exact_zeros_of_the_coupling_are_crossed_out():
    pairs = [(b, c) for b in range(3) for c in range(3)]
    rows = [("conv", b, c, float(b == c)) for b, c in pairs] + [("BN", b, c, 1.0 + b) for b, c in pairs]
    table = pd.DataFrame(rows, columns=["arm", "output", "input", "norm"])
    conv, batch_norm, _ = readable(filters.coupling(table)).axes
    assert {text.get_position() for text in conv.texts} == {(c, b) for b in range(3) for c in range(3) if b != c}
    assert not batch_norm.texts
    assert batch_norm.images[0].get_array()[2, 0] == pytest.approx(np.log10(3))
