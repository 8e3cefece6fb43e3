"""Every parameter of every recording refuses what cannot be, by its own name, before anything runs."""

from importlib import import_module

import pytest

from bnlab.commands import bounds, presets
from bnlab.commands.parameters import ParameterError
from bnlab.records import experiments

MAY = {  # what looks impossible and is not: no runs of a kind, all images, exponents
    "04": {"noise": (0.0,)},
    "06": dict.fromkeys(("epochs", "sensitivity_seeds", "survival_seeds", "survival_long_steps", "warm_up_seeds",
                         "unknown_combinations", "unknown_seeds"), (0,))
    | dict.fromkeys(("survival_octaves", "warm_up_octaves"), ([], [-1], [0])) | {"warm_up_lengths": ([],)},
    "07": dict.fromkeys(("epochs", "frontier_steps", "unknown_combinations", "unknown_seeds"), (0,)),
    "11": dict.fromkeys(("exponents", "shifts", "rate_exponents"), ([-1], [0])),
    "13": {"train_images": (0,), "test_images": (0,), "epochs": ([2400, 2400],)},
}  # fmt: skip


def impossible(name, value):
    """Values that a parameter with such a value cannot have, if nothing is said of it."""
    if isinstance(value, list):
        numbers = [] if isinstance(value[0], str) else [[-1], [0], ["nan"]]
        return [[], [value[0], value[0]], *numbers]
    if isinstance(value, float):
        return [0.0, -1.0, "nan", "inf"]
    return [-1] if name == "seed" else [-1, 0, 2.5]


@pytest.mark.parametrize("chapter", experiments.EXPERIMENTS)
def test_an_impossible_value_is_refused_by_the_name_of_its_parameter(chapter):
    experiment = import_module(experiments.module_name(chapter)).parts
    wanted = presets.read_preset(chapter, "paper").values
    for name, value in presets.choose(experiment, wanted).items():
        if isinstance(value, bool | str):
            continue
        for wrong in impossible(name, value):
            if wrong in MAY.get(chapter, {}).get(name, ()):
                presets.choose(experiment, wanted | {name: wrong})
                continue
            with pytest.raises(ParameterError) as caught:
                presets.choose(experiment, wanted | {name: wrong})
            assert str(caught.value).startswith(f"{name} = ")
            assert "\n" not in str(caught.value)


def test_exceptions_are_of_parameters_that_there_are():
    for chapter, named in bounds.EXCEPTIONS.items():
        experiment = import_module(experiments.module_name(chapter)).parts
        assert set(named) <= set(presets.kinds(experiment)), chapter


@pytest.mark.parametrize("depth", [9, 2, "56.5", -4])
def test_a_residual_network_has_6n_plus_2_layers(depth):
    with pytest.raises(ValueError, match=r"6n \+ 2|below|at least|whole"):
        bounds.residual_depth().coerce(depth)


def test_the_chapter_of_another_module_is_none():
    assert experiments.chapter_of("bnlab.datasets") == ""
