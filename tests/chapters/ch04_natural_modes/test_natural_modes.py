"""Chapter 04's experiment: a trained layer against the recursion it should obey, LMS against its mean, closed forms."""

import math

import numpy as np
import pytest
import torch

from bnlab import datasets
from bnlab.chapters.ch04_natural_modes import linear_layer, lms_modes, natural_modes
from bnlab.claims import statistics
from bnlab.theory import filters, patches, stability


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", size=8)


@pytest.fixture(scope="module")
def tables(digits):
    sizes = dict(kernel_size=3, images=8, steps=150, lms_steps=60, lms_runs=300, lms_seeds=2)
    return natural_modes.run(digits, rates=[0.2, 1.0, 1.5, 1.9, 2.01], lms_rates=[0.02, 0.9], **sizes)


@pytest.fixture(scope="module")
def problem(digits):
    return linear_layer.linear_problem(digits, 3, 8, noise=0.1, seed=0)


def test_the_problem_is_least_squares_on_patches(problem):
    X = patches.unroll(problem.images, 3).transpose(0, 1).flatten(1)  # (K, B*M)
    expected = np.linalg.lstsq(X.T.numpy(), problem.desired.flatten().numpy(), rcond=None)[0]
    np.testing.assert_allclose(problem.solution, expected, rtol=1e-9)
    error = problem.desired.flatten() - X.T @ problem.solution
    assert (X @ error).abs().max() < 1e-10 * (X @ problem.desired.flatten()).abs().max()
    np.testing.assert_allclose(problem.R, X @ X.T / X.shape[1], rtol=1e-12, atol=1e-14)


def test_without_noise_the_solution_is_the_teacher(digits):
    clean = linear_layer.linear_problem(digits, 3, 8, noise=0.0, seed=0)
    noisy = linear_layer.linear_problem(digits, 3, 8, noise=0.5, seed=0)
    response = torch.nn.functional.conv2d(clean.images, clean.solution.reshape(1, 1, 3, 3))
    torch.testing.assert_close(response, clean.desired, rtol=1e-9, atol=1e-10)
    noise = noisy.desired - clean.desired
    assert (noise.std() / clean.desired.std()).item() == pytest.approx(0.5, rel=0.1)
    assert torch.equal(clean.initial, noisy.initial)
    other = linear_layer.linear_problem(digits, 3, 8, noise=0.0, seed=1)
    assert not torch.equal(other.initial, clean.initial)
    assert not torch.allclose(other.solution, clean.solution)
    assert torch.equal(other.R, clean.R)


@pytest.mark.parametrize("rate", [0.3, 1.9])
def test_the_layer_obeys_the_recursion_of_r_and_p(problem, rate):
    mu = rate / problem.modes.eigenvalues[-1].item()
    expected = filters.gradient_descent_trajectory(problem.R, problem.P, problem.initial, mu, 80)
    trained = natural_modes.train(problem, mu, 80)
    torch.testing.assert_close(trained + problem.solution, expected, rtol=0, atol=1e-11)


def test_every_mode_has_the_slope_of_the_theory(tables):
    fits = tables["fits"]
    fitted = fits.dropna(subset="slope")
    assert (fitted.r_squared > 0.999).all()
    assert (abs(fitted.slope / fitted.theory - 1) < 0.01).all()
    assert len(fits) == 5 * 9
    left_out = fits[fits.slope.isna()]
    # The only mode that leaves no line is the one whose rate ends it in one step.
    assert left_out[["rate", "mode"]].to_numpy().tolist() == [[1.0, 8.0]]
    assert left_out.theory.item() < -30


def test_the_top_mode_oscillates_then_grows(tables):
    top = tables["trajectories"].query("mode == 8").set_index("rate")
    for rate, turns in ((0.2, False), (1.5, True), (1.9, True), (2.01, True)):
        run = top.loc[rate]
        early = run[run.step <= 3].weight_error
        assert (np.sign(early).nunique() == 2) == turns
    remaining = tables["fits"].query("mode == 8").set_index("rate").remaining
    assert remaining[2.01] == pytest.approx(1.01**150, rel=1e-6)
    assert remaining[1.9] == pytest.approx(0.9**150, rel=1e-3)
    trajectories = tables["trajectories"]
    assert (trajectories.weight_error - trajectories.theory).abs().max() < 1e-11


def test_the_noise_floor_ends_the_line(problem):
    steps = torch.arange(60, dtype=torch.float64)[:, None]
    V = 0.5**steps * torch.ones(9, dtype=torch.float64) + 1e-11 * torch.sin(7 * steps)  # rounding, exaggerated
    V[:, 0] = 1e-12  # a mode that starts below the floor
    fits = natural_modes.fits(problem, {1.0: V @ problem.modes.eigenvectors.T})
    assert fits.points.tolist() == [0] + [30] * 8  # 2^-30 < 1e-9 < 2^-29
    assert fits.slope[0] != fits.slope[0]
    assert fits.slope[1:].to_numpy() == pytest.approx(math.log(0.5), rel=1e-3)


@pytest.mark.parametrize(("rate", "steps"), [(2.1, 400), (50.0, 300), (1000.0, 300)])
def test_growth_drowns_no_line_and_passes_the_end_of_float64(problem, rate, steps):
    trained = {rate: natural_modes.train(problem, rate / problem.modes.eigenvalues[-1].item(), steps)}
    assert bool(trained[rate].isfinite().all()) == (rate < 3)
    fits = natural_modes.fits(problem, trained)
    lines = fits[fits.points >= natural_modes.FEWEST_POINTS]
    assert lines["mode"].iloc[-1] == 8  # the one that grows
    assert (abs(lines.slope / lines.theory - 1) < 0.01).all()
    assert (lines.r_squared > 0.999).all()
    assert fits.remaining.iloc[-1] == pytest.approx((rate - 1) ** steps if rate < 3 else math.inf)


def test_runs_of_lms_that_leave_float64_are_infinitely_far(problem):
    runs = [lms_modes.simulate(problem, 100.0, order, 400, 50, 0) for order in lms_modes.ORDERS]
    means, spread = lms_modes.in_the_mean(lambda seed: problem, runs), lms_modes.in_the_spread(runs)
    assert np.isposinf(means.query("step == 400").distance).all()
    assert not means.distance.isna().any()
    assert np.isposinf(spread.query("step == 400")[["mean_square", "median_square", "largest_square"]]).all(axis=None)


def test_independent_lms_obeys_the_law_in_the_mean(tables):
    means = tables["lms_modes"]
    assert (means[means.order == "independent"].distance.abs() < 4).all()
    # Slow as this rate is, the law says something: the top modes have moved by many standard errors.
    last = means.query("order == 'independent' and share == 0.02 and mode == 8 and step == 60")
    start = tables["trajectories"].query("mode == 8 and step == 0").weight_error.iloc[0]
    first = last[last.seed == 0]
    assert (abs(first["mean"] - start) > 20 * first.standard_error).all()


def test_the_sliding_window_breaks_the_law(tables):
    distances = tables["lms_modes"].query("order == 'sliding' and share == 0.9").groupby("seed").distance
    assert (distances.agg(lambda distance: distance.abs().max()) > 5).all()


def test_patches_are_those_of_the_unrolled_images(problem):
    X = patches.unroll(problem.images, 3).transpose(1, 2).flatten(0, 1)  # (B*M, K)
    assert torch.equal(lms_modes.patches_at(problem, torch.arange(len(X))), X)
    assert torch.equal(lms_modes.patches_at(problem, torch.tensor([len(X) - 1, 0])), X[[-1, 0]])


def test_runs_are_lms_on_drawn_patches(problem):
    runs = lms_modes.simulate(problem, 0.3, "independent", steps=20, runs=4, seed=0)
    sliding = lms_modes.simulate(problem, 0.3, "sliding", steps=20, runs=4, seed=0)
    X = patches.unroll(problem.images, 3).transpose(1, 2).flatten(0, 1)
    D = problem.desired.flatten()
    mu = 0.3 * stability.mean_square_bound(problem.R)
    ways = [
        filters.lms_trajectory(problem.initial, X.roll(-s, 0)[:20], D.roll(-s)[:20], mu)[-1] for s in range(len(X))
    ]  # one for each place to start the window
    for run in range(4):
        final = sliding.weight_errors[-1, run] + problem.solution
        assert min((final - way).abs().max().item() for way in ways) < 1e-12
    step = runs.weight_errors[1] - runs.weight_errors[0]  # (runs, K): from step 0 to step 1
    assert runs.steps[:2] == [0, 1]
    candidates = -mu * X * (X @ problem.initial - D)[:, None]
    assert (step[:, None] - candidates).abs().amax(2).min(1).values.max() < 1e-14
    assert torch.equal(runs.weight_errors[0], (problem.initial - problem.solution).expand(4, -1))


def test_the_spread_follows_the_sharp_bound(problem):
    mu = stability.mean_square_bound(problem.R)
    sharp = stability.mean_square_limit(patches.unroll(problem.images, 3))
    assert sharp < mu  # on these patches 2 / tr R is too large
    spreads = [lms_modes.simulate(problem, c * sharp / mu, "independent", 400, 500, 0) for c in (0.5, 2.0)]
    squares = lms_modes.in_the_spread(spreads).groupby("share").mean_square
    assert squares.last().iloc[0] < squares.first().iloc[0]
    assert squares.last().iloc[1] > 100 * squares.first().iloc[1]


def test_bounds(tables, problem):
    rates = tables["lms_bounds"].set_index("bound").mu
    assert rates["mean: 2 / lambda_max"] == pytest.approx(2 / problem.modes.eigenvalues[-1].item())
    assert rates["mean square: 2 / tr R"] == pytest.approx(2 / problem.R.trace().item())
    assert rates["mean square: sharp"] < rates["mean square: 2 / tr R"] < rates["mean: 2 / lambda_max"]


def test_raising_the_smallest_eigenvalue_saves_steps(tables):
    runs = tables["convergence"]
    closed = np.ceil(math.log(1e-6) / np.log1p(-runs.mu * runs.smallest_eigenvalue))
    assert (abs(runs.steps - closed) <= 1).all()
    assert statistics.log_log_slope(runs.smallest_eigenvalue, runs.steps).slope == pytest.approx(-1, abs=0.02)


def test_lowering_the_largest_eigenvalue_allows_larger_rates(tables):
    rates = tables["largest_rate"]
    assert (abs(rates.largest_rate / rates.bound - 1) < 0.005).all()
    assert statistics.log_log_slope(rates.largest_eigenvalue, rates.largest_rate).slope == pytest.approx(-1, abs=0.01)


def test_tables_are_tidy_and_repeatable(digits, tables):
    for name, made in tables.items():
        assert list(made.attrs["units"]) == list(made.columns), name
        assert len(made), name
    again = natural_modes.parts(digits, 3, 8, (0.2,), 10, lms_rates=(0.9,), lms_steps=60, lms_runs=300, lms_seeds=2)
    expected = tables["lms_modes"].query("share == 0.9").reset_index(drop=True)
    assert again["lms_modes"]().equals(expected)
    assert np.array_equal(again["spectrum"]().to_numpy(), tables["spectrum"].to_numpy())


def test_recorded_steps():
    assert linear_layer.recorded_steps(1, 12) == [0, 1]
    steps = linear_layer.recorded_steps(300, 12)
    assert (steps[0], steps[-1]) == (0, 300)
    assert len(steps) <= 12
    assert steps == sorted(set(steps))


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        (dict(images=0), "images: 0 is not between 1 and the 1438 of digits"),
        (dict(images=5000), "images: 5000"),
        (dict(kernel_size=9), r"kernel_size: \(9, 9\) .* more than the input of 8 x 8"),
        (dict(noise=-1.0), "noise: -1.0 is negative"),
        (dict(steps=0), "steps: 0 is not at least 1"),
    ],
)
def test_bad_sizes_are_named_in_one_line(digits, sizes, words):
    with pytest.raises(ValueError, match=words) as error:
        natural_modes.parts(digits, **(dict(kernel_size=3, images=4, steps=2) | sizes))["trajectories"]()
    assert "\n" not in str(error.value)


def test_slices_of_images_add_up_to_the_whole(digits, monkeypatch):
    whole = linear_layer.linear_problem(digits, 3, 8, noise=0.1, seed=0)
    trained = natural_modes.train(whole, 0.1, 5)
    of_three = lambda images: [slice(start, start + 3) for start in range(0, len(images), 3)]  # noqa: E731
    monkeypatch.setattr(linear_layer, "in_slices", of_three)
    monkeypatch.setattr(natural_modes, "in_slices", of_three)
    sliced = linear_layer.linear_problem(digits, 3, 8, noise=0.1, seed=0)
    torch.testing.assert_close(sliced.desired, whole.desired, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(natural_modes.train(sliced, 0.1, 5), trained, rtol=1e-12, atol=1e-12)


def test_another_teacher_is_that_of_another_seed_on_the_same_images(digits):
    first = linear_layer.linear_problem(digits, 3, 8, noise=0.1, seed=0)
    shared, own = linear_layer.with_another_teacher(first, 0.1, 1), linear_layer.linear_problem(digits, 3, 8, 0.1, 1)
    assert shared.images is first.images
    assert torch.equal(shared.desired, own.desired)
    assert torch.equal(shared.solution, own.solution)
    assert torch.equal(shared.initial, own.initial)
    assert not torch.equal(shared.desired, first.desired)
