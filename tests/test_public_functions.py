"""Kinds of wrong numbers, each put to every public function of theory, layers, models and measures.

What a function may do with them is two things: answer rightly, or refuse in one line that names the argument and what
is wrong with it. Exceptions are listed by name, each with its reason.
"""

import ast
import dataclasses
import importlib
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from public_calls import CALLS
from torch import Tensor

import bnlab

LIBRARY = Path(bnlab.__file__).parent
FLOORS = ("theory", "layers", "models", "measures")
# Tested by their own files: problems and runs, whose tensors fit each other by construction.
SPLIT = tuple(
    f"theory.{name}." for name in ("convergence", "gdnp", "halfspaces", "least_squares", "margins", "rayleigh")
)
# Nothing that one hands a tensor or a number to: results, names, checks, and networks and data sets (tested by name).
NO_NUMBERS = {
    *("theory.batch_noise.NoiseMoments", "theory.channel_scaling.BestGains", "theory.modes.NaturalModes"),
    *(f"theory.patch_products.{way}" for way in ("Run", "by_patches", "by_pixels", "by_rows")),
    *("theory.modes.EffectiveEigenvalues", "theory.patches.Geometry", "layers.batchnorm.BatchStatistics"),
    *("layers.batchnorm_backward.Gradients", "layers.batchnorm_backward.PrintedGradients", "layers.inference.Affine"),
    *("layers.population.Population", "measures.gradients.LayerSignals", "models.norms.Norm"),
    *("layers.batchnorm.by_channel", "layers.batchnorm.channel_sum", "layers.batchnorm.check_values"),
    *("layers.batchnorm.check_channels", "layers.running.check_maps", "layers.running.keep_sound"),
    *("layers.inference.inference_affine", "layers.inference.fold", "layers.inference.fold_network"),
    *("layers.population.exact_statistics", "layers.population.averaged_statistics"),
    *("models.initialisation.draw_default_", "models.norms.find_norm", "models.batched_lenet.BatchedLeNets"),
    "models.fan_scaling.draw_normal_",
    *("theory.mean_field.Moments", "measures.jacobians.GradientProfile"),
    *("measures.fisher.FisherTop", "measures.kernel_sums.KernelSums"),
    *("measures.curvature.HessianEnds", "measures.curvature.hessian_ends", "measures.landscape.GradientWalk"),
    "measures.batch_sharpness.batch_sharpness",
    *("measures.landscape.along_gradient", "measures.landscape.distance_to_change", "measures.landscape.plane"),
    "measures.surface.LossSurface",
    *("measures.kernels.parity_task", "measures.probes.probe_images", "measures.probes.using_batch_statistics"),
    *("measures.probes.window_of", "measures.probes.LeNetProbe", "measures.probes.SplitError"),
    *("measures.gradient_shift.GradientShift", "measures.shift.Moments", "measures.shift.moment_drift"),
    "measures.shift.same_randomness",
    *("measures.update_path.ChannelMoments", "measures.update_path.Waypoint", "measures.update_path.along_update"),
}


def public_names() -> set[str]:
    """Functions and classes of the four floors."""
    found = set()
    for path in (path for floor in FLOORS for path in (LIBRARY / floor).glob("*.py")):
        place = ".".join(path.relative_to(LIBRARY).with_suffix("").parts)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                found.add(f"{place}.{node.name}")
    return {name for name in found if not name.startswith(SPLIT)}


def test_every_public_function_has_its_call():
    assert set(CALLS) | NO_NUMBERS == public_names()
    assert not set(CALLS) & NO_NUMBERS


def test_results_are_frozen():
    """All data classes but a preconditioner, which holds the matrix of the moment."""
    changing = set()
    for name in public_names():
        module, _, last = name.rpartition(".")
        found = getattr(importlib.import_module(f"bnlab.{module}"), last)
        if dataclasses.is_dataclass(found) and not found.__dataclass_params__.frozen:
            changing.add(name)
    assert changing == {"measures.preconditioning.ModePreconditioner"}


@pytest.mark.parametrize("name", CALLS)
def test_every_call_is_valid_and_repeats(name):
    once, twice = CALLS[name](), CALLS[name]()
    assert values(once), "a call without a number proves nothing"
    assert_alike(twice, once, 0)


def values(result: object) -> list[np.ndarray]:
    """Every number of a result, in float64, tensor by tensor."""
    if isinstance(result, Tensor):
        return [result.detach().double().numpy()]
    if isinstance(result, (np.ndarray, np.floating)):
        return [np.float64(result)]
    if isinstance(result, (bool, int, float)):
        return [np.array(float(result))]
    if dataclasses.is_dataclass(result):
        return [v for field in dataclasses.fields(result) for v in values(getattr(result, field.name))]
    if isinstance(result, dict):
        return [v for part in result.values() for v in values(part)]
    if isinstance(result, (tuple, list)):
        return [v for part in result for v in values(part)]
    return []


def assert_alike(got: object, expected: object, tolerance: float) -> None:
    """Same shapes, same numbers up to a share of the largest."""
    got, expected = values(got), values(expected)
    assert [v.shape for v in got] == [v.shape for v in expected]
    for one, other in zip(got, expected, strict=True):
        size = np.abs(other[np.isfinite(other)]).max(initial=0.0)
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * size)


def answer(name: str, **other: object) -> tuple[object, str | None]:
    """What a call gives, or the one line with which it refuses."""
    try:
        return CALLS[name](**other), None
    except (ValueError, TypeError) as error:
        return None, str(error)


def assert_names(line: str, name: str, *words: str) -> None:
    """A refusal is one line, begins with arguments of the function, and says each word."""
    assert "\n" not in line
    head = re.match(r"[\w, ()\[\]'-]*", line)[0]
    assert any(re.search(rf"\b{argument}\b", head) for argument in (*CALLS[name].arguments, "model")), line
    for word in words:
        assert word in line, line


TENSORS = [(name, argument) for name, call in CALLS.items() for argument in call.tensors]
each_tensor = pytest.mark.parametrize(("name", "argument"), TENSORS, ids=lambda value: value)

# Views and arrangements of numbers of any kind, complex ones too, which are no arithmetic.
ANY_KIND = {"theory.channel_scaling.blocks", "theory.patches.unroll", "theory.patches.fold_output"}


@each_tensor
@pytest.mark.parametrize("dtype", [torch.complex128, torch.int64, torch.bool], ids=str)
def test_complex_integer_and_bool(name, argument, dtype):
    given = CALLS[name].tensors[argument].to(dtype)
    result, line = answer(name, **{argument: given})
    if line is not None:
        assert_names(line, name, argument, str(dtype).removeprefix("torch."))
    elif dtype.is_complex:
        assert name in ANY_KIND
        assert_alike(result.real, CALLS[name](), 0)
    else:
        assert_alike(result, CALLS[name](**{argument: given.double()}), 1e-12)


@each_tensor
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_that_would_overflow(name, argument, dtype):
    """Squares of 300 are beyond float16: widened, or refused; the answer is that of the same numbers in float64."""
    half = {key: (300 * value).to(dtype) for key, value in CALLS[name].tensors.items()}
    result, line = answer(name, **half)
    if line is not None:
        assert_names(line, name)
    else:
        wide, _ = answer(name, **{key: value.double() for key, value in half.items()})
        assert_alike(result, wide, 0.02)
    mixed, line = answer(name, **{argument: CALLS[name].tensors[argument].to(dtype)})
    if line is None:
        assert_alike(mixed, CALLS[name](), 0.1)


# Statistics, which must have been finite; all else of layers hands on what it gets.
MOMENTS = {f"layers.{name}" for name in ("inference.moving_average", "population.population_estimate")}
MOMENTS |= {"layers.population.pooled_estimate"}
# Right all the same: a variance or a length without end leaves nothing, and the ReLU of -inf is 0.
LIMITS = {
    *(("layers.batchnorm.normalise", "variance"), ("layers.decoupling.radial_gradient", "variance")),
    *(("layers.decoupling.effective_rate", "weight"), ("measures.probes.run", "images")),
    *(("models.lenet.LeNet", "images"), ("models.mlp.MLP", "inputs")),
    *(("models.resnet.ResNet", "images"), ("models.vgg.VGG", "images")),
}


@each_tensor
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_not_finite(name, argument, value):
    """Refused, or seen in the answer; never swallowed."""
    spoilt = CALLS[name].tensors[argument].clone(memory_format=torch.contiguous_format)
    spoilt.view(-1)[-1] = value
    result, line = answer(name, **{argument: spoilt})
    if line is not None:
        assert not name.startswith("layers.") or name in MOMENTS, "a network that diverges says so by its loss"
        assert_names(line, name, argument)
        assert "finite" in line
    else:
        assert (name, argument) in LIMITS or not all(np.isfinite(found).all() for found in values(result))


@each_tensor
def test_empty(name, argument):
    given = CALLS[name].tensors[argument]
    for dim in range(given.ndim):
        result, line = answer(name, **{argument: given.narrow(dim, 0, 0)})
        if line is not None:
            assert_names(line, name)
        else:
            assert all(found.size == 0 for found in values(result))


# Of which there may be any number: mini-batches, gains of equal channels, patches, samples; one answer for all.
ANY_NUMBER = {
    *(("layers.inference.moving_average", "batches"), ("theory.minimum_disturbance.feasible_neighbours", "X")),
    *(("theory.channel_scaling.eigenvalue_bounds", "gains"), ("theory.channel_scaling.scale_channels", "gains")),
    *(("theory.filters.lms_step", "d"), ("theory.filters.nlms_step", "d"), ("theory.stability.mean_square_limit", "X")),
    *(("theory.matrix_products.ks_distance", "values"), ("theory.modes.resolved", "R")),
    *(("theory.divergences.histogram_kl", "samples"), ("theory.divergences.histogram_kl", "other")),
    ("measures.curvature.share_in", "vectors"),
}


@each_tensor
def test_shapes_that_would_broadcast(name, argument):
    """One in place of a size that another argument shares: refused, or a smaller problem with a smaller answer."""
    given, usual = CALLS[name].tensors[argument], [found.shape for found in values(CALLS[name]())]
    if len(CALLS[name].tensors) < 2:
        pytest.skip("no other tensor to fit")
    for dim in (dim for dim in range(given.ndim) if given.shape[dim] > 1):
        result, line = answer(name, **{argument: given.narrow(dim, 0, 1)})
        if line is not None:
            assert_names(line, name)
        else:
            smaller = [found.shape for found in values(result)] != usual
            assert smaller or (name, argument) in ANY_NUMBER, f"dimension {dim}"


@each_tensor
def test_wrong_number_of_dimensions(name, argument):
    """One more or fewer: refused, or as documented another shape of answer."""
    given, usual = CALLS[name].tensors[argument], [found.shape for found in values(CALLS[name]())]
    for other in (given.unsqueeze(0), given[0] if given.ndim else given[None, None]):
        result, line = answer(name, **{argument: other})
        if line is not None:
            assert_names(line, name)
        else:
            another = [found.shape for found in values(result)] != usual
            assert another or (name, argument) in ANY_NUMBER, tuple(other.shape)


OWN = {"theory.modes.resolved"}  # says what a dtype resolves
GROWS = {"theory.filters.lms_trajectory"}  # past the end of float32 where the inputs are large
SUBTRACTS = {
    "measures.gradient_shift.gradient_shifts"
}  # two gradients, alike beyond float32 where the inputs are small


@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if call.tensors and name not in OWN])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_single_precision_is_as_accurate_as_it_can_be(name, scale):
    """Columns of any scale: tolerances follow the dtype and the size of the numbers."""
    if (scale > 1 and name in GROWS) or (scale < 1 and name in SUBTRACTS):
        pytest.skip("beyond float32")
    single = {key: (scale * value).float() for key, value in CALLS[name].tensors.items()}
    result, line = answer(name, **single)
    wide, wide_line = answer(name, **{key: value.double() for key, value in single.items()})
    if line is not None:
        assert wide_line is not None, line
    else:
        assert_alike(result, [np.float32(found) for found in values(wide)], 1e-3)  # it may be beyond float32


SCALARS = [(name, argument) for name, call in CALLS.items() for argument in call.scalars]
each_number = pytest.mark.parametrize(("name", "argument"), SCALARS, ids=lambda value: value)


@each_number
@pytest.mark.parametrize("value", [True, math.nan, math.inf, -math.inf, "1", 1j, None, -3.5, [1]], ids=repr)
def test_what_is_no_number_in_range(name, argument, value):
    result, line = answer(name, **{argument: value})
    if line is not None:
        assert_names(line, name)
    else:
        assert (value == -3.5 and isinstance(CALLS[name].scalars[argument], float)) or value is None, values(result)


@each_number
def test_numpys_numbers_are_numbers(name, argument):
    given = CALLS[name].scalars[argument]
    for kind in (np.int64, np.int32) if isinstance(given, int) else (np.float64,):
        assert_alike(CALLS[name](**{argument: kind(given)}), CALLS[name](), 0)
    if isinstance(given, float):
        assert_alike(CALLS[name](**{argument: np.float32(given)}), CALLS[name](), 1e-6)
