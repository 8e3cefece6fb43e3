"""The pictures of chapter 4 show what they were given: laws, slopes, thresholds; and the player plays it."""

import numpy as np
import pandas as pd
import pytest
from drawn import labelled, readable

from bnlab.chapters.ch04_natural_modes import layer_plots as mode_experiments
from bnlab.chapters.ch04_natural_modes import player as mode_player
from bnlab.chapters.ch04_natural_modes import plots as modes

FOUR = (1.0, 0.6, 0.3, 0.1)


pytestmark = pytest.mark.usefixtures("book_style")


def decays(rates=(0.5, 1.0, 1.9, 2.0, 2.1), steps=6):
    rows = [(r, x, n, (1 - r * x) ** n) for r in rates for x in FOUR for n in range(steps)]
    return pd.DataFrame(rows, columns=["mu_lambda_max", "eigenvalue", "n", "v"])


def test_spectrum_and_patches_are_those_given():
    spectrum = pd.DataFrame({"mode": [1, 2, 3, 4], "eigenvalue": [1.0, 1e-2, 1e-5, 0.0]})
    grid = np.array([[0.5, -1.0], [0.25, 0.0]])
    rows = [(1, i, j, grid[i, j]) for i in range(2) for j in range(2)] + [(3, 0, 0, 2.0), (3, 0, 1, 1.0)]
    patterns = pd.DataFrame(rows, columns=["mode", "row", "column", "weight"])
    figure = readable(modes.modes_as_patches(spectrum, patterns))
    above, first, third = figure.axes
    assert above.get_yscale() == "log"
    assert above.lines[0].get_xdata().tolist() == [1, 2, 3]  # zero has no place on a logarithmic axis
    assert above.lines[1].get_xdata().tolist() == [1, 3]  # ringed
    picture = first.images[0]
    assert np.array_equal(picture.get_array(), grid)
    assert picture.get_clim() == (-1.0, 1.0)  # white is zero
    assert third.get_title() == "mode 3"


def test_two_signs_keep_runs_apart_from_laws():
    rows = [
        (form, x, n, 2.0 * value, value)
        for form, sign in (("printed", 1), ("corrected", -1))
        for x in FOUR[1:]
        for n in range(5)
        for value in [(1 + sign * x) ** n]
    ]
    table = pd.DataFrame(rows, columns=["form", "eigenvalue", "n", "measured", "law"])
    figure = readable(modes.two_signs(table))
    for axes, sign in zip(figure.axes, (1, -1), strict=True):
        points = labelled(axes)["0.6"].get_ydata()
        laws = [drawn.get_ydata() for drawn in axes.lines if drawn.get_marker() in (None, "None", "")]
        assert np.allclose(points, 2 * (1 + sign * 0.6) ** np.arange(5))
        assert any(np.allclose(law, (1 + sign * 0.6) ** np.arange(5)) for law in laws)


def test_mixtures_stand_beside_pure_modes():
    n = np.array([1, 10, 100])
    table = pd.concat([
        pd.DataFrame({"kind": "entries of C", "name": "weight 1", "n": n, "value": 1 / n, "fit": 0.5}),
        pd.DataFrame({"kind": "modes V", "name": "mode 2", "n": n, "value": 0.9**n, "fit": 0.9**n}),
    ])  # fmt: skip
    left, right = readable(modes.pure_and_mixed(table)).axes
    assert np.allclose(labelled(left)["weight 1"].get_ydata(), 1 / n)
    assert np.allclose(left.lines[0].get_ydata(), 0.5)
    assert np.allclose(right.lines[0].get_ydata(), labelled(right)["mode 2"].get_ydata())


def test_conventions_mark_each_bound_where_the_growth_is_one():
    bounds = pd.DataFrame({"convention": ["mean", "sum"], "bound": [2.0, 0.02]})
    growth = pd.concat([
        pd.DataFrame({"convention": name, "mu": bound * np.linspace(0.1, 1.5, 15),
                      "factor": np.abs(1 - 2 * np.linspace(0.1, 1.5, 15))})
        for name, bound in (("mean", 2.0), ("sum", 0.02))
    ])  # fmt: skip
    (axes,) = readable(modes.conventions(growth, bounds)).axes
    assert axes.get_xscale() == "log"
    marks = [(drawn.get_xdata()[0], drawn.get_ydata()[0]) for drawn in axes.lines if len(drawn.get_xdata()) == 1]
    assert marks == [(2.0, 1), (0.02, 1)]
    for name, bound in (("mean", 2.0), ("sum", 0.02)):
        curve = labelled(axes)[name]
        assert np.interp(bound, curve.get_xdata(), curve.get_ydata()) == pytest.approx(1)


def test_time_constants_follow_the_slowest_mode_over_the_crossover():
    rate = np.linspace(0.1, 1.95, 38)
    with np.errstate(divide="ignore"):
        tau = {x: -1 / np.log(np.abs(1 - rate * x)) for x in FOUR}
    spectrum = pd.concat([pd.DataFrame({"eigenvalue": x, "mu": rate, "tau": tau[x]}) for x in FOUR])
    single = pd.concat([pd.DataFrame({"source": source, "mu_lambda": rate, "tau": tau[1.0]})
                        for source in ("printed", "corrected", "measured")])  # fmt: skip
    left, right = readable(modes.time_constants(single, spectrum, 2 / 1.1)).axes
    assert labelled(left)["measured"].get_linestyle() == "None"
    assert labelled(left)["corrected"].get_linestyle() != "None"
    slowest = labelled(right)["slowest"]
    early, late = slowest.get_xdata() < 2 / 1.1, slowest.get_xdata() > 2 / 1.1
    assert np.allclose(slowest.get_ydata()[early], tau[0.1][early])
    assert np.allclose(slowest.get_ydata()[late], tau[1.0][late])
    assert any(drawn.get_xdata()[0] == pytest.approx(2 / 1.1) for drawn in right.lines if len(drawn.get_xdata()) == 2)


@pytest.fixture(scope="module")
def layer():
    """Give what the experiment would: nine modes, two rates, slopes that are right, one mode gone at once."""
    eigenvalues = np.geomspace(1e-3, 1.0, 9)
    trajectories, fits = [], []
    for rate in (1.0, 1.9):
        for k, x in enumerate(eigenvalues):
            factor = 1 - rate * x
            for n in (0, 1, 3, 10, 30):
                trajectories.append((rate, n, k, 2 * factor**n, 2 * factor**n))
            slope = np.log(abs(factor)) if factor else -np.inf
            fits.append((rate, k, x, slope if factor else np.nan, slope))
    return (
        pd.DataFrame(trajectories, columns=["rate", "step", "mode", "weight_error", "theory"]),
        pd.DataFrame(fits, columns=["rate", "mode", "eigenvalue", "slope", "theory"]),
    )


def test_layer_draws_the_chosen_rate_and_all_slopes(layer):
    left, right = readable(mode_experiments.layer_decay(*layer, rate=1.9)).axes
    first = labelled(left)["1"]  # mode 1 is that of the largest eigenvalue
    assert first.get_xdata().tolist() == [1, 3, 10, 30]  # step 0 has no place on a logarithmic axis
    assert np.allclose(first.get_ydata(), 0.9 ** np.array([1, 3, 10, 30]))  # in units of the start, signs dropped
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["1", "2", "3", "5", "8", "9"]
    assert len(labelled(right)["1"].get_xdata()) == 8  # the mode that is gone at once has no slope
    assert len(labelled(right)["1.9"].get_xdata()) == 9
    for rate in ("1", "1.9"):
        assert np.allclose(labelled(right)[rate].get_xdata(), labelled(right)[rate].get_ydata())


def test_layer_with_fewer_modes_than_the_list():
    trajectories = pd.DataFrame(
        [(1.0, n, k, 0.5**n, 0.5**n) for k in range(3) for n in (0, 1, 5)],
        columns=["rate", "step", "mode", "weight_error", "theory"],
    )
    fits = pd.DataFrame({"rate": [1.0], "mode": [0], "eigenvalue": [0.5], "slope": [-0.7], "theory": [-0.7]})
    left, _ = mode_experiments.layer_decay(trajectories, fits, 1.0).axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["1", "2", "3"]


def test_lms_shows_the_small_rate_in_the_mean_and_every_rate_in_the_square():
    modes_table = pd.DataFrame(
        [(share, order, seed, n, k, share + k + 0.1, share + k, 0.01)
         for share in (0.02, 0.9) for order in ("independent", "sliding") for seed in (3, 4)
         for n in (1, 10) for k in (0, 1)],
        columns=["share", "order", "seed", "step", "mode", "mean", "theory", "standard_error"],
    )  # fmt: skip
    spread = pd.DataFrame(
        [(share, order, seed, n, value * (seed - 2), 1.0)
         for share, order, value in ((0.02, "independent", 1.0), (0.02, "sliding", 2.0), (0.9, "independent", 3.0),
                                     (0.9, "sliding", 1e13))
         for seed in (3, 4, 5) for n in (0, 1, 10)],
        columns=["share", "order", "seed", "step", "mean_square", "median_square"],
    )  # fmt: skip
    left, right = readable(mode_experiments.lms_noise(modes_table, spread)).axes
    assert labelled(left)["Eq. 6"].get_ydata().tolist() == [1.02, 1.02]  # smallest share, largest mode
    bars = {bar.get_label(): bar for bar in left.containers}
    assert bars["sliding patches"].lines[0].get_ydata() == pytest.approx([1.12, 1.12])
    low, high = bars["independent patches"].lines[2][0].get_segments()[0][:, 1]
    assert high - low == pytest.approx(8 * 0.01)  # four standard errors on either side
    assert labelled(right)["0.02 × 2/tr R, sliding"].get_ydata().tolist() == [4.0, 4.0]  # median over three seeds
    assert np.isnan(labelled(right)["0.9 × 2/tr R, sliding"].get_ydata()).all()  # diverged beyond the picture


def test_levers_label_their_few_points():
    convergence = pd.DataFrame({"smallest_eigenvalue": [0.02, 0.1, 0.6], "steps": [1000, 200, 33]})
    largest = pd.DataFrame({"largest_eigenvalue": [1.0, 10.0], "largest_rate": [2.0, 0.2], "bound": [2.0, 0.2]})
    left, right = readable(mode_experiments.two_levers(convergence, largest)).axes
    assert [label.get_text() for label in left.get_xticklabels()] == ["0.02", "0.1", "0.6"]
    assert not left.get_xticks(minor=True).size
    assert left.lines[0].get_ydata().tolist() == [1000, 200, 33]
    assert labelled(right)["measured"].get_ydata().tolist() == [2.0, 0.2]


def test_forecast_keeps_zero_error_on_the_logarithmic_axis():
    drift = pd.DataFrame({"loss": ["given", "given", "softmax"], "n": [1, 2, 1], "error": [0.0, 1e-15, 0.3]})
    (axes,) = readable(mode_experiments.forecast_and_truth(drift)).axes
    assert labelled(axes)["given"].get_ydata().tolist() == [1e-17, 1e-15]
    assert axes.get_yscale() == "log"


def test_hessian_spectra_are_drawn_by_rank():
    spectra = pd.DataFrame({"matrix": ["R", "R", "H"], "rank": [1, 2, 1], "eigenvalue": [9.0, 1.0, 2.0]})
    (axes,) = readable(mode_experiments.hessian_spectra(spectra)).axes
    assert labelled(axes)["R"].get_ydata().tolist() == [9.0, 1.0]
    assert labelled(axes)["H"].get_ydata().tolist() == [2.0]


@pytest.fixture
def frames(monkeypatch):
    """Draw the player's frames without making a film: a function from the rate to the figure."""
    made = {}

    def keep(figure, draw, labels, **words):
        made.update(figure=figure, draw=draw, labels=labels, words=words)

    monkeypatch.setattr(mode_player, "player", keep)
    table = decays()
    mode_player.decay_player(table, name="modes", alt="Modes that decay.")
    rates = sorted(table["mu_lambda_max"].unique())
    assert made["labels"] == [f"{rate:.2f} / λmax" for rate in rates]
    assert made["words"]["name"] == "modes"

    def at(rate):
        made["draw"](rates.index(rate))
        return readable(made["figure"], width=6.0)

    return at


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (0.5, "Stable. Slowest: the smallest eigenvalue, halved in 13.5 steps"),
        (1.9, "Stable. Slowest: the largest eigenvalue, halved in 6.58 steps"),  # 1.9 > 2 / 1.1
        (2.0, "On the edge"),
        (2.1, "Unstable"),
    ],
)
def test_player_says_what_the_rate_does(frames, rate, words):
    figure = frames(rate)
    assert figure.axes[0].get_title().startswith(words)
    assert f"{rate:.2f}" in figure.get_suptitle()


def test_player_moves_each_factor_and_draws_its_powers(frames):
    factors, curves = frames(1.9).axes
    dots = [drawn for drawn in factors.lines if drawn.get_linestyle() == "None"]
    assert [dot.get_xdata()[0] for dot in dots] == pytest.approx([1 - 1.9 * x for x in FOUR])
    assert np.argmax([dot.get_markersize() for dot in dots]) == 0  # the slowest is the largest one here
    assert [label.get_text()[:3] for label in factors.get_yticklabels()] == ["1 $", "0.6", "0.3", "0.1"]
    falling = [drawn for drawn in curves.lines if drawn.get_linestyle() == "-" and len(drawn.get_xdata()) == 6]
    assert np.allclose(falling[0].get_ydata(), 0.9 ** np.arange(6))
    hollow = [drawn for drawn in curves.lines if drawn.get_markerfacecolor() == "white"]
    assert hollow[0].get_xdata().tolist() == [1, 3, 5]  # a negative factor changes the sign at every other step
    assert hollow[3].get_xdata().size == 0  # a positive one never


def test_player_shows_a_mode_that_is_gone_after_one_step(frames):
    _, curves = frames(1.0).axes
    first = curves.lines[0].get_ydata()
    assert first[0] == 1
    assert (first[1:] < mode_player.FLOOR).all()


def test_player_is_offline_described_and_the_same_each_time():
    table = decays(rates=(1.0, 2.0), steps=4)
    alt = 'Modes that "decay" & grow.'
    first, again = (mode_player.decay_player(table, name="modes", alt=alt, first=1).data for _ in range(2))
    assert first == again
    assert "http" not in first.replace("http://www.w3.org", "")
    assert 'alt="Modes that &quot;decay&quot; &amp; grow."' in first
    assert '"1.00 / λmax", "2.00 / λmax"' in first


def test_player_of_the_chapter_is_light():
    table = decays(rates=mode_player.RATES, steps=26)
    assert len(mode_player.decay_player(table, name="modes", alt="Modes.", first=11).data) < 600_000


def test_rates_of_the_player_cross_the_bound_and_stay_few():
    assert 25 <= len(mode_player.RATES) <= 30
    assert list(mode_player.RATES) == sorted(set(mode_player.RATES))
    assert {1.0, 2.0} <= set(mode_player.RATES)
    assert mode_player.RATES[0] < 0.5
    assert mode_player.RATES[-1] > 2
