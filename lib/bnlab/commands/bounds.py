"""Which values a parameter of a recording may have, so that an impossible one is refused before anything runs.

The rule: a whole number counts something and is at least 1, a seed at least 0; a real number is above 0; a list has a
value, and none twice. What is otherwise stands in `EXCEPTIONS`. What hangs on other parameters or on the data, the
experiments refuse themselves.
"""

from __future__ import annotations

from collections.abc import Mapping

from bnlab.commands.kinds import Kind, integer, list_of, real, text

COUNT, SIGNED, SHARE, FACTOR = integer(0), integer(-20, 20), real(high=1, above=0), real(above=1)


def residual_depth() -> Kind:
    """Describe the layers of a ResNet for small images, 6n + 2.

    >>> residual_depth().coerce("56")
    56
    """

    def coerce(value: object) -> int:
        depth = integer(8).coerce(value)
        if depth % 6 != 2:
            raise ValueError("not 6n + 2")
        return depth

    return Kind("the number of layers of a ResNet, 6n + 2 (8, 14, 20)", "int", coerce)


DEPTH, DEPTHS = residual_depth(), list_of(residual_depth(), distinct=True)
OCTAVES = list_of(SIGNED, at_least=0, distinct=True)  # none where that table is left out
LEFT_OUT_BY_ZERO = dict.fromkeys(("epochs", "unknown_combinations", "unknown_seeds"), COUNT)

# By chapter, what the rule would say wrongly.
EXCEPTIONS: Mapping[str, Mapping[str, Kind]] = {
    "02": {"decays": list_of(SHARE, distinct=True), "race_error": SHARE},
    "04": {"noise": real(0)},
    "06": LEFT_OUT_BY_ZERO
    | dict.fromkeys(("sensitivity_seeds", "survival_seeds", "survival_long_steps", "warm_up_seeds"), COUNT)
    | {"survival_octaves": OCTAVES, "warm_up_octaves": OCTAVES,
       "warm_up_lengths": list_of(integer(1), at_least=0, distinct=True)},
    "07": LEFT_OUT_BY_ZERO | {"frontier_steps": COUNT},
    "09": {"depths": DEPTHS},
    "10": {"resnet_depth": DEPTH},
    "11": dict.fromkeys(("exponents", "shifts", "rate_exponents"), list_of(SIGNED, distinct=True)),
    "13": {"depths": DEPTHS, "warmup_depths": DEPTHS, "depth": DEPTH, "rate_factor": FACTOR,
           "epochs": list_of(integer(1)),  # one a rate
           "train_images": COUNT, "test_images": COUNT},  # 0: all
    "14": {"depth": DEPTH, "depths": DEPTHS, "factor": FACTOR},
    "15": {"depth": DEPTH, "last_depths": DEPTHS, "condition_depths": DEPTHS, "rate_factor": FACTOR},
    "16": {"kappas": list_of(real(1), distinct=True)},
}  # fmt: skip


def kind_of(chapter: str, name: str, annotation: str) -> Kind:
    """Say what a parameter may be, by its annotation and the exceptions of its chapter.

    >>> kind_of("04", "steps", "int").description
    'a whole number, at least 1'
    """
    if exception := EXCEPTIONS.get(chapter, {}).get(name):
        return exception
    item = integer(0 if name == "seed" else 1) if "int" in annotation else real(above=0)
    item = text() if "str" in annotation else item
    listed = annotation.startswith(("list", "tuple", "collections.abc.Sequence", "Sequence"))
    return list_of(item, distinct=True) if listed else item
