"""A valid call of every public function of theory, layers, models and measures that takes a tensor or a number.

``CALLS`` names each by its place below bnlab: a function and its arguments. Layers are called on an input, networks on
images. All tensors are float64, of sizes that differ, so that no dimension can stand in for another.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from bnlab.layers import (
    batchnorm,
    batchnorm_backward,
    constant_gain,
    decoupling,
    frozen_gain,
    grouped_batchnorm,
    inference,
    nlms,
    population,
    preconditioned_linear,
    rms_norm,
    split_batchnorm,
    step_noise,
    threshold_norm,
    weight_norm,
)
from bnlab.measures import (
    curvature,
    fisher,
    gradient_shift,
    gradients,
    jacobians,
    kernel_sums,
    kernels,
    preconditioning,
    probes,
    shift,
)
from bnlab.models import lenet, lsuv, mlp, residual_mlp, resnet, vgg
from bnlab.theory import (
    batch_noise,
    catapult,
    channel_scaling,
    divergences,
    filters,
    matrix_products,
    mean_field,
    minimum_disturbance,
    modes,
    patch_products,
    patches,
    random_matrices,
    sgd_noise,
    spectra,
    stability,
    tails,
)


def seeded(seed: int = 0) -> torch.Generator:
    """A generator of the call's own."""
    return torch.Generator().manual_seed(seed)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers in float64."""
    return torch.randn(*shape, dtype=torch.float64, generator=seeded(seed))


@dataclass(frozen=True)
class Call:
    """A function with arguments that it takes."""

    function: Callable
    arguments: Mapping[str, object]

    def __call__(self, **other: object) -> object:
        """Call it, some arguments replaced."""
        given = {name: value.clone() if isinstance(value, Tensor) else value for name, value in self.arguments.items()}
        return self.function(**given | other)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The arguments that are tensors."""
        return {name: value for name, value in self.arguments.items() if isinstance(value, Tensor)}

    @property
    def scalars(self) -> dict[str, float]:
        """The arguments that are numbers."""
        return {
            name: value
            for name, value in self.arguments.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)
        }


X, D = numbers(2, 4, 7), numbers(2, 3, 7, seed=1)  # (B, K, M), (B, OC, M)
R, P = filters.correlations(X, D)
SPECTRUM = torch.tensor([0.1, 0.3, 0.6, 1.0], dtype=torch.float64)
MAPS = numbers(5, 3, 6, 7)
BLOCKS = R + torch.eye(4, dtype=torch.float64)  # two channels of two pixels
W = numbers(4, seed=2)
NODES = numbers(4, 6, seed=3)  # (K, M)


def taking(name: str, layer: Callable[[], nn.Module]) -> Callable[..., Tensor]:
    """A layer, made anew in the dtype of its input, called on it in train mode."""

    def call(**given: Tensor) -> Tensor:
        return layer().to(working(given[name].dtype))(given[name])

    return call


def working(dtype: torch.dtype) -> torch.dtype:
    """The dtype of a network for inputs of one."""
    return dtype if dtype in (torch.float32, torch.float64) else torch.float64


def network(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """Two fully connected layers and a normalisation."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).to(dtype)


def small_convolution(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """A convolution and what follows it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(40, 2)).to(dtype)


def squared(outputs: Tensor, labels: Tensor) -> Tensor:
    """Half the mean square."""
    return 0.5 * (outputs - labels).square().sum(1).mean()


def signals() -> gradients.LayerSignals:
    """What passes through the convolution of `small_convolution`."""
    return gradients.local_errors(small_convolution(), MAPS, numbers(5, 2), squared, "0")


def with_errors(errors: Tensor) -> gradients.LayerSignals:
    """The same with other errors, in their dtype."""
    found, dtype = signals(), working(errors.dtype)
    return replace(found, inputs=found.inputs.to(dtype), outputs=found.outputs.to(dtype), errors=errors)


def lenet_on() -> nn.Module:
    """A LeNet, made anew."""
    return lenet.LeNet(2, 3, generator=seeded())


def resnet_on() -> nn.Module:
    """A small ResNet, made anew."""
    return resnet.ResNet(8, 2, 3, width=4, generator=seeded())


def vgg_on() -> nn.Module:
    """A small VGG-like network, made anew."""
    return vgg.VGG(2, 3, widths=(3,), norm="batch", generator=seeded())


def ntk_on(inputs: Tensor) -> Tensor:
    """Kernel of `network`."""
    return kernels.empirical_ntk(network(), inputs)


def moments_of(x: Tensor) -> population.Population:
    """Moments of one batch."""
    moments = population.RunningMoments()
    moments.add(x)
    return moments.population()


def preconditioned(factors: Tensor) -> preconditioning.ModePreconditioner:
    """A preconditioner that is not called."""
    return preconditioning.ModePreconditioner(MAPS, factors)


def without_rounding(**given: Tensor) -> batchnorm_backward.PrintedGradients:
    """The printed derivatives, but for the term that is 0 up to rounding."""
    found = batchnorm_backward.backward_as_printed(**given)
    return replace(found, mean_by_variance=torch.zeros_like(found.mean_by_variance))


ROWS, SLOPES = numbers(3, 4), numbers(3, 4, seed=1)  # (C, K)
INPUTS = numbers(6, 4, seed=2)  # (B, K)
GAMMA, BETA = 1 + numbers(3, seed=3).abs(), numbers(3, seed=4)
OUTPUTS, ERRORS = numbers(6, 3, seed=5), numbers(6, 3, seed=6)
PATCHES, LOCAL = numbers(2, 6, 5), numbers(2, 4, 5, seed=1)  # (B, K, M), (B, OC, M)
EIGHT = torch.arange(1.0, 9.0, dtype=torch.float64)
KERNEL = numbers(6, 9) @ numbers(6, 9).T
PIXELS = {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 1}

CALLS = {
    "theory.batch_noise.asymptotic_std": Call(batch_noise.asymptotic_std, {"x": 0.5, "m": 8}),
    "theory.batch_noise.exact_moments": Call(batch_noise.exact_moments, {"x": 0.5, "m": 8}),
    "theory.batch_noise.draw": Call(
        lambda x, m, runs: batch_noise.draw(x, m, runs, seeded()), {"x": 0.5, "m": 8, "runs": 3}
    ),
    "theory.catapult.two_layer_path": Call(
        catapult.two_layer_path, {"output": 1.0, "curvature": 1.0, "rate": 0.5, "width": 9, "steps": 3}
    ),
    "theory.channel_scaling.blocks": Call(channel_scaling.blocks, {"R": BLOCKS, "channels": 2}),
    "theory.channel_scaling.scale_channels": Call(
        channel_scaling.scale_channels, {"R": BLOCKS, "gains": torch.tensor([1.0, 0.5], dtype=torch.float64)}
    ),
    "theory.channel_scaling.unit_power_gains": Call(channel_scaling.unit_power_gains, {"R": BLOCKS, "channels": 2}),
    "theory.channel_scaling.participation": Call(
        channel_scaling.participation, {"eigenvectors": modes.natural_modes(R).eigenvectors, "channels": 2}
    ),
    "theory.channel_scaling.eigenvalue_bounds": Call(
        channel_scaling.eigenvalue_bounds,
        {"eigenvalues": SPECTRUM, "gains": torch.tensor([1.0, 0.5], dtype=torch.float64)},
    ),
    "theory.channel_scaling.coherence": Call(channel_scaling.coherence, {"R": BLOCKS, "channels": 2}),
    "theory.channel_scaling.condition_slopes": Call(channel_scaling.condition_slopes, {"R": BLOCKS, "channels": 2}),
    "theory.channel_scaling.condition_floor": Call(channel_scaling.condition_floor, {"R": BLOCKS, "channels": 2}),
    "theory.channel_scaling.best_gains": Call(channel_scaling.best_gains, {"R": BLOCKS, "channels": 2}),
    "theory.filters.correlations": Call(filters.correlations, {"X": X, "D": D}),
    "theory.filters.wiener_solution": Call(filters.wiener_solution, {"R": R, "P": P, "tolerance": 1e-9}),
    "theory.filters.cost": Call(filters.cost, {"W": numbers(4, 3), "X": X, "D": D}),
    "theory.filters.gradient_descent_trajectory": Call(
        filters.gradient_descent_trajectory, {"R": R, "P": P, "W0": numbers(4, 3), "mu": 0.1, "steps": 3}
    ),
    "theory.filters.lms_step": Call(
        filters.lms_step, {"W": numbers(3, 4), "x": numbers(3, 4, seed=1), "d": numbers(3, seed=2), "mu": 0.1}
    ),
    "theory.filters.nlms_step": Call(
        filters.nlms_step,
        {"W": numbers(3, 4), "x": numbers(3, 4, seed=1), "d": numbers(3, seed=2), "mu": 0.5, "epsilon": 0.1},
    ),
    "theory.filters.affine_projection": Call(
        filters.affine_projection,
        {"W": numbers(9, 3), "X": numbers(9, 7), "D": numbers(3, 7), "mu": 0.5, "tolerance": 1e-9},
    ),
    "theory.filters.lms_trajectory": Call(
        filters.lms_trajectory, {"W0": numbers(3, 4), "X": numbers(5, 3, 4), "D": numbers(5, 3), "mu": 0.1}
    ),
    "theory.matrix_products.iid_matrices": Call(
        lambda N, count, variance: matrix_products.iid_matrices(N, count, seeded(), variance=variance),
        {"N": 4, "count": 2, "variance": 0.5},
    ),
    "theory.matrix_products.sample_product_singular_values": Call(
        lambda N, M, runs: matrix_products.sample_product_singular_values(N, M, runs, seeded()),
        {"N": 4, "M": 2, "runs": 3},
    ),
    "theory.matrix_products.log_extreme_singular_values": Call(
        lambda N, runs: matrix_products.log_extreme_singular_values(N, [1, 3], runs, seeded()), {"N": 4, "runs": 2}
    ),
    "theory.matrix_products.log_condition_numbers": Call(
        lambda N, runs: matrix_products.log_condition_numbers(N, [1, 3], runs, seeded()), {"N": 4, "runs": 2}
    ),
    "theory.matrix_products.lyapunov_gap": Call(matrix_products.lyapunov_gap, {"N": 4}),
    "theory.matrix_products.ks_distance": Call(
        lambda values: matrix_products.ks_distance(values, lambda x: np.clip(x, 0, 1)),
        {"values": torch.rand(5, generator=seeded(), dtype=torch.float64)},
    ),
    "theory.mean_field.moments": Call(lambda variance: mean_field.moments("tanh", variance), {"variance": 0.5}),
    "theory.mean_field.plain_rate": Call(
        lambda weight_variance, variance: mean_field.plain_rate("tanh", weight_variance, variance),
        {"weight_variance": 2.0, "variance": 0.5},
    ),
    "theory.mean_field.normalised_rate": Call(lambda: mean_field.normalised_rate("relu"), {}),
    "theory.mean_field.plain_profile": Call(
        lambda depth, weight_variance, variance: mean_field.plain_profile("tanh", depth, weight_variance, variance),
        {"depth": 3, "weight_variance": 2.0, "variance": 0.5},
    ),
    "theory.mean_field.residual_profile": Call(
        lambda blocks, weight_variance, variance: mean_field.residual_profile(
            "relu", blocks, weight_variance, variance=variance
        ),
        {"blocks": 3, "weight_variance": 2.0, "variance": 0.5},
    ),
    "theory.mean_field.branch_shares": Call(
        lambda blocks, weight_variance, variance: mean_field.branch_shares("relu", blocks, weight_variance, variance),
        {"blocks": 3, "weight_variance": 2.0, "variance": 0.5},
    ),
    "theory.mean_field.gradient_correlations": Call(
        lambda correlation, depth: mean_field.gradient_correlations(correlation, depth, skip=True, normalised=True),
        {"correlation": 0.5, "depth": 3},
    ),
    "theory.minimum_disturbance.constrained_minimum": Call(
        minimum_disturbance.constrained_minimum, {"W": W, "X": NODES[:, :3], "D": numbers(3)}
    ),
    "theory.minimum_disturbance.feasible_neighbours": Call(
        lambda W, X, count: minimum_disturbance.feasible_neighbours(W, X, count, seeded()),
        {"W": W, "X": NODES[:, :3], "count": 2},
    ),
    "theory.minimum_disturbance.smallest_step": Call(
        minimum_disturbance.smallest_step, {"x": W, "error": torch.tensor(2.0, dtype=torch.float64)}
    ),
    "theory.minimum_disturbance.summed_step": Call(
        minimum_disturbance.summed_step,
        {"W": W, "X": NODES, "E": numbers(6), "mu": 0.1, "channels": 2, "sign": -1},
    ),
    "theory.minimum_disturbance.normalised": Call(minimum_disturbance.normalised, {"X": NODES, "channels": 2}),
    "theory.minimum_disturbance.coupling": Call(minimum_disturbance.coupling, {"X": NODES, "channels": 2}),
    "theory.minimum_disturbance.largest_stable_rate": Call(
        minimum_disturbance.largest_stable_rate, {"X": NODES, "channels": 2}
    ),
    "theory.modes.natural_modes": Call(modes.natural_modes, {"R": R}),
    "theory.modes.largest_eigenvalue": Call(modes.largest_eigenvalue, {"inputs": numbers(4, 6)}),
    "theory.modes.project": Call(
        lambda errors: modes.project(modes.natural_modes(R), errors), {"errors": numbers(5, 4)}
    ),
    "theory.modes.decay": Call(modes.decay, {"eigenvalues": SPECTRUM, "mu": 0.5, "n": 3}),
    "theory.modes.log_decay": Call(modes.log_decay, {"eigenvalues": SPECTRUM, "mu": 0.5}),
    "theory.modes.time_constants": Call(modes.time_constants, {"eigenvalues": SPECTRUM, "mu": 0.5}),
    "theory.modes.effective_eigenvalues": Call(modes.effective_eigenvalues, {"R": R, "tolerance": 1e-9}),
    "theory.modes.dead_channels": Call(modes.dead_channels, {"R": R, "channels": 2, "tolerance": 1e-9}),
    "theory.modes.semidefinite": Call(modes.semidefinite, {"R": R, "tolerance": 1e-9}),
    "theory.modes.resolved": Call(modes.resolved, {"R": R, "tolerance": 1e-9}),
    "theory.patches.geometry": Call(patches.geometry, PIXELS),
    "theory.patches.output_size": Call(patches.output_size, {"size": 9, **PIXELS}),
    "theory.patches.unroll": Call(patches.unroll, {"x": MAPS, **PIXELS}),
    "theory.patches.fold_output": Call(lambda y: patches.fold_output(y, (2, 3)), {"y": numbers(4, 6)}),
    "theory.patches.full_slide_fraction": Call(
        patches.full_slide_fraction, {"size": 9, "kernel_size": 3, "padding": 1}
    ),
    "theory.patch_products.patch_products": Call(
        lambda x: patch_products.patch_products(x, patches.geometry(3, 2, 1)), {"x": MAPS}
    ),
    "theory.random_matrices.fuss_catalan_density": Call(
        random_matrices.fuss_catalan_density, {"x": SPECTRUM, "M": 2, "scale": 1.5}
    ),
    "theory.random_matrices.singular_value_density": Call(
        random_matrices.singular_value_density, {"s": SPECTRUM, "M": 2, "scale": 1.5}
    ),
    "theory.random_matrices.fuss_catalan_cdf": Call(
        random_matrices.fuss_catalan_cdf, {"x": SPECTRUM, "M": 2, "scale": 1.5}
    ),
    "theory.random_matrices.fuss_catalan_support": Call(random_matrices.fuss_catalan_support, {"M": 2, "scale": 1.5}),
    "theory.random_matrices.fuss_catalan_moment": Call(random_matrices.fuss_catalan_moment, {"k": 3, "M": 2}),
    "theory.sgd_noise.noise_constant": Call(sgd_noise.noise_constant, {"gradients": INPUTS}),
    "theory.sgd_noise.step_noise": Call(
        sgd_noise.step_noise, {"constant": 2.0, "rate": 0.5, "batch_size": 3, "images": 6}
    ),
    "theory.sgd_noise.all_errors": Call(
        lambda gradients, batch_size: sgd_noise.all_errors(gradients, batch_size, replacement=True),
        {"gradients": INPUTS, "batch_size": 2},
    ),
    "theory.sgd_noise.drawn_errors": Call(
        lambda gradients, batch_size, draws: sgd_noise.drawn_errors(gradients, batch_size, draws, False, seeded()),
        {"gradients": INPUTS, "batch_size": 2, "draws": 3},
    ),
    "theory.spectra.autocorrelation": Call(spectra.autocorrelation, {"x": MAPS, **PIXELS}),
    "theory.spectra.cross_correlation": Call(
        spectra.cross_correlation, {"x": MAPS, "d": numbers(5, 2, 3, 4), **PIXELS}
    ),
    "theory.stability.stability_bound": Call(stability.stability_bound, {"R": R, "positions": 3}),
    "theory.stability.mean_square_bound": Call(stability.mean_square_bound, {"R": R}),
    "theory.stability.mean_square_limit": Call(stability.mean_square_limit, {"X": X}),
    "theory.stability.slowest_mode": Call(
        stability.slowest_mode, {"eigenvalues": SPECTRUM, "mu": 0.5, "tolerance": 1e-9}
    ),
    "theory.stability.crossover_rate": Call(stability.crossover_rate, {"R": R}),
    "theory.stability.best_rate": Call(stability.best_rate, {"R": R}),
    "theory.tails.excess_kurtosis": Call(tails.excess_kurtosis, {"values": numbers(40)}),
    "theory.tails.tail_index": Call(tails.tail_index, {"values": numbers(40), "share": 0.2}),
    "theory.tails.share_carrying": Call(tails.share_carrying, {"powers": numbers(7).square(), "part": 0.8}),
    "theory.divergences.gaussian_kl": Call(
        divergences.gaussian_kl,
        {
            "mean": numbers(5),
            "variance": numbers(5, seed=1).square(),
            "other_mean": numbers(5, seed=2),
            "other_variance": numbers(5, seed=3).square(),
        },
    ),
    "theory.divergences.gaussian_wasserstein": Call(
        divergences.gaussian_wasserstein,
        {
            "mean": numbers(5),
            "deviation": numbers(5, seed=1).abs(),
            "other_mean": numbers(5, seed=2),
            "other_deviation": numbers(5, seed=3).abs(),
        },
    ),
    "theory.divergences.histogram_kl": Call(
        divergences.histogram_kl, {"samples": numbers(40, 3), "other": numbers(50, 3, seed=1), "bins": 3, "added": 1.0}
    ),
    "layers.batchnorm.batch_statistics": Call(batchnorm.batch_statistics, {"x": MAPS}),
    "layers.batchnorm.normalise": Call(batchnorm.normalise, {"centred": MAPS, "variance": GAMMA, "eps": 1e-5}),
    "layers.batchnorm.batch_norm": Call(batchnorm.batch_norm, {"x": MAPS, "gamma": GAMMA, "beta": BETA, "eps": 1e-5}),
    "layers.batchnorm.BatchNorm": Call(taking("x", lambda: batchnorm.BatchNorm(3)), {"x": MAPS}),
    "layers.batchnorm_backward.backward_as_printed": Call(
        without_rounding,
        {"grad": numbers(5, 3, 6, 7, seed=1), "x": MAPS, "gamma": GAMMA, "eps": 1e-5},
    ),
    "layers.batchnorm_backward.backward": Call(
        batchnorm_backward.backward, {"grad": numbers(5, 3, 6, 7, seed=1), "x": MAPS, "gamma": GAMMA, "eps": 1e-5}
    ),
    "layers.constant_gain.ConstantGain": Call(taking("x", lambda: constant_gain.ConstantGain(3)), {"x": MAPS}),
    "layers.frozen_gain.FrozenGainBatchNorm": Call(
        taking("x", lambda: frozen_gain.FrozenGainBatchNorm(3)), {"x": MAPS}
    ),
    "layers.weight_norm.WeightNormConv2d": Call(
        taking(
            "x",
            lambda: torch.nn.utils.skip_init(weight_norm.WeightNormConv2d, 3, 2, 3).requires_grad_(False).apply(ones),
        ),
        {"x": MAPS},
    ),
    "layers.decoupling.decoupled": Call(
        decoupling.decoupled, {"x": INPUTS, "weight": ROWS, "gamma": GAMMA, "beta": BETA, "eps": 1e-5}
    ),
    "layers.decoupling.printed": Call(
        lambda x, weight, gamma, beta: decoupling.printed(x, weight, gamma, beta, "batch"),
        {"x": INPUTS, "weight": ROWS, "gamma": GAMMA, "beta": BETA},
    ),
    "layers.decoupling.radial_cosine": Call(decoupling.radial_cosine, {"weight": ROWS, "gradient": SLOPES}),
    "layers.decoupling.radial_gradient": Call(
        decoupling.radial_gradient,
        {"errors": ERRORS, "outputs": OUTPUTS, "beta": BETA, "variance": GAMMA, "eps": 1e-5},
    ),
    "layers.decoupling.squared_lengths_after": Call(
        decoupling.squared_lengths_after, {"weight": ROWS, "gradient": SLOPES, "rate": 0.1, "weight_decay": 0.01}
    ),
    "layers.decoupling.effective_rate": Call(decoupling.effective_rate, {"weight": ROWS, "rate": 0.1}),
    "layers.decoupling.direction_after": Call(
        decoupling.direction_after, {"direction": ROWS, "gradient": SLOPES, "effective": GAMMA}
    ),
    "layers.grouped_batchnorm.GroupedBatchNorm": Call(
        taking("x", lambda: grouped_batchnorm.GroupedBatchNorm(3, 5)), {"x": MAPS}
    ),
    "layers.inference.torch_momentum": Call(inference.torch_momentum, {"decay": 0.75}),
    "layers.inference.moving_average_weights": Call(inference.moving_average_weights, {"decay": 0.75, "steps": 3}),
    "layers.inference.moving_average": Call(
        inference.moving_average, {"batches": numbers(4, 3), "start": BETA, "decay": 0.75}
    ),
    "layers.inference.effective_batches": Call(inference.effective_batches, {"decay": 0.75}),
    "layers.nlms.patch_power": Call(nlms.patch_power, {"patches": PATCHES, "channels": 3}),
    "layers.nlms.nlms_gradient": Call(
        lambda patches, errors, channels, regulariser: nlms.nlms_gradient(
            patches, errors, channels, "l2", "channel", regulariser
        ),
        {"patches": PATCHES, "errors": LOCAL, "channels": 3, "regulariser": 1e-3},
    ),
    "layers.nlms.NlmsConv2d": Call(
        taking(
            "x", lambda: torch.nn.utils.skip_init(nlms.NlmsConv2d, 3, 2, 3, norm="l2").requires_grad_(False).apply(ones)
        ),
        {"x": MAPS},
    ),
    "layers.population.population_estimate": Call(
        population.population_estimate, {"means": numbers(4, 3), "variances": numbers(4, 3).abs(), "m": 8}
    ),
    "layers.population.pooled_estimate": Call(
        population.pooled_estimate, {"means": numbers(4, 3), "variances": numbers(4, 3).abs()}
    ),
    "layers.population.RunningMoments": Call(moments_of, {"x": MAPS}),
    "layers.preconditioned_linear.preconditioned_gradients": Call(
        preconditioned_linear.preconditioned_gradients,
        {"errors": numbers(5, 2), "inputs": numbers(5, 3, seed=1), "eps": 1e-5},
    ),
    "layers.preconditioned_linear.PreconditionedLinear": Call(
        taking("h", lambda: torch.nn.utils.skip_init(preconditioned_linear.PreconditionedLinear, 3, 2).apply(ones)),
        {"h": numbers(5, 3)},
    ),
    "layers.split_batchnorm.DetachedBatchNorm": Call(
        taking("x", lambda: split_batchnorm.DetachedBatchNorm(3)), {"x": MAPS}
    ),
    "layers.split_batchnorm.BackwardBatchNorm": Call(
        taking("x", lambda: split_batchnorm.BackwardBatchNorm(3)), {"x": MAPS}
    ),
    "layers.step_noise.StepNoise": Call(taking("x", lambda: step_noise.StepNoise(seeded())), {"x": MAPS}),
    "layers.rms_norm.RmsNorm": Call(taking("x", lambda: rms_norm.RmsNorm(3)), {"x": MAPS}),
    "layers.threshold_norm.ThresholdNorm": Call(
        taking("x", lambda: threshold_norm.ThresholdNorm(3, "below")), {"x": MAPS}
    ),
    "models.lenet.LeNet": Call(taking("images", lenet_on), {"images": numbers(3, 2, 32, 32)}),
    "models.lsuv.lsuv_": Call(
        lambda images, tolerance, most: lsuv.lsuv_(
            small_convolution(working(images.dtype)), images, generator=seeded(), tolerance=tolerance, most=most
        ),
        {"images": MAPS, "tolerance": 1e-3, "most": 9},
    ),
    "models.mlp.MLP": Call(
        taking("inputs", lambda: mlp.MLP(4, 2, depth=1, width=3, generator=seeded())), {"inputs": numbers(5, 4)}
    ),
    "models.residual_mlp.ResidualMLP": Call(
        taking("inputs", lambda: residual_mlp.ResidualMLP(4, 2, depth=1, width=3, generator=seeded())),
        {"inputs": numbers(5, 4)},
    ),
    "models.resnet.ResNet": Call(taking("images", resnet_on), {"images": numbers(3, 2, 6, 5)}),
    "models.vgg.VGG": Call(taking("images", vgg_on), {"images": numbers(3, 2, 32, 32)}),
    "measures.jacobians.gradient_profile": Call(
        lambda inputs: jacobians.gradient_profile(
            network(working(inputs.dtype)), inputs, numbers(5, 2).to(working(inputs.dtype)), squared, ["0", "3"]
        ),
        {"inputs": numbers(5, 3)},
    ),
    "measures.jacobians.jacobian": Call(
        lambda inputs: jacobians.jacobian(network(working(inputs.dtype)), inputs), {"inputs": numbers(5, 3)}
    ),
    "measures.jacobians.singular_values": Call(
        lambda inputs: jacobians.singular_values(network(working(inputs.dtype)), inputs), {"inputs": numbers(5, 3)}
    ),
    "measures.curvature.share_in": Call(
        curvature.share_in,
        {"vectors": torch.linalg.qr(numbers(5, 5)).Q.T[:2].contiguous(), "gradient": numbers(5, seed=1)},
    ),
    "measures.curvature.pseudo_condition": Call(
        curvature.pseudo_condition, {"hessian": torch.diag(torch.tensor([4.0, 2.0, 0.5], dtype=torch.float64))}
    ),
    "measures.gradients.local_errors": Call(
        lambda images: gradients.local_errors(
            small_convolution(working(images.dtype)), images, numbers(5, 2), squared, "0"
        ),
        {"images": MAPS},
    ),
    "measures.gradients.weight_gradient_from_signals": Call(
        lambda errors: gradients.weight_gradient_from_signals(with_errors(errors)),
        {"errors": signals().errors},
    ),
    "measures.gradients.desired_response": Call(
        lambda errors: gradients.desired_response(with_errors(errors)), {"errors": signals().errors}
    ),
    "measures.kernel_sums.kernel_sums": Call(
        lambda inputs, errors: kernel_sums.kernel_sums(inputs, errors, patches.geometry(3, 1, 1)),
        {"inputs": MAPS, "errors": numbers(5, 2, 6, 7)},
    ),
    "measures.kernel_sums.kernel_sums_by_layer": Call(
        lambda images: kernel_sums.kernel_sums_by_layer(
            small_convolution(working(images.dtype)), images, numbers(5, 2).to(working(images.dtype)), squared, ["0"]
        ),
        {"images": MAPS},
    ),
    "measures.fisher.fisher_top": Call(
        lambda inputs: fisher.fisher_top(network(working(inputs.dtype)), inputs, generator=seeded()).value,
        {"inputs": numbers(5, 3)},
    ),
    "measures.kernels.empirical_ntk": Call(ntk_on, {"inputs": numbers(5, 3)}),
    "measures.kernels.fisher_gram": Call(kernels.fisher_gram, {"kernel": KERNEL, "logits": numbers(3, 2)}),
    "measures.kernels.kernel_spectrum": Call(kernels.kernel_spectrum, {"kernel": KERNEL}),
    "measures.preconditioning.matching_factors": Call(
        lambda eigenvalues, target: preconditioning.matching_factors(eigenvalues, target, "lower_half"),
        {"eigenvalues": EIGHT, "target": 3 * EIGHT},
    ),
    "measures.preconditioning.capping_factors": Call(
        preconditioning.capping_factors, {"eigenvalues": EIGHT, "cap": 2.0}
    ),
    "measures.preconditioning.ModePreconditioner": Call(preconditioned, {"factors": EIGHT}),
    "measures.shift.moments": Call(shift.moments, {"values": MAPS}),
    "measures.shift.percentiles": Call(shift.percentiles, {"values": MAPS}),
    "measures.shift.layer_moments": Call(
        lambda images: shift.layer_moments(small_convolution(working(images.dtype)), images, ("0",)), {"images": MAPS}
    ),
    "measures.gradient_shift.gradient_shifts": Call(
        lambda images, turn: gradient_shift.gradient_shifts(
            small_convolution(working(images.dtype)), images, numbers(5, 2), squared, ("0", "3"), turn=turn
        ),
        {"images": MAPS, "turn": 0.1},
    ),
    "measures.probes.run": Call(
        lambda images: probes.run(small_convolution(working(images.dtype)), images), {"images": MAPS}
    ),
    "measures.probes.activations": Call(
        lambda images: probes.activations(small_convolution(working(images.dtype)), images, ("0",)), {"images": MAPS}
    ),
    "measures.probes.input_autocorrelation": Call(
        lambda images: probes.input_autocorrelation(small_convolution(working(images.dtype)), images, "0"),
        {"images": MAPS},
    ),
}


def ones(layer: nn.Module) -> None:
    """Weights of 1, for a layer whose own were skipped."""
    for parameter in layer.parameters():
        nn.init.ones_(parameter)
