"""The house: a module imports only from floors below its own, and a chapter's folder from no other chapter."""

import ast
from pathlib import Path

import pytest

import bnlab

LIBRARY = Path(bnlab.__file__).parent
GROUND = {"checks", "face", "literals", "randomness", "tables"}  # they stand on no floor, and import nothing of bnlab
BELOW = {  # floor -> what it may know
    "theory": set(),
    "layers": {"theory"},
    "models": {"theory", "layers"},
    "datasets": set(),
    "training": {"theory", "layers", "models", "datasets"},
    "measures": {"theory", "layers", "models", "datasets", "training"},
    "records": set(),
    "sweeps": {"theory", "layers", "models", "datasets", "training", "measures", "records"},
    "claims": {"records"},
    "figures": set(),
}
BELOW["chapters"] = set(BELOW)
BELOW["commands"] = set(BELOW)


def imported(source: str) -> set[str]:
    """Dotted names below ``bnlab`` that a source imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("bnlab.") for name in names if name.startswith("bnlab.")}


def trespasses(place: tuple[str, ...], source: str) -> list[str]:
    """Imports that a module at ``place`` (its path below bnlab, in parts) may not have."""
    floor, found = place[0].removesuffix(".py"), []
    for name in imported(source):
        target = name.split(".")
        if target[0] in GROUND or (len(target) == 1 and target[0] == "__version__"):
            allowed = floor not in GROUND
        elif target[0] == "chapters" == floor:
            allowed = target[1] == place[1]
        else:
            allowed = target[0] == floor or target[0] in BELOW.get(floor, ())
        if not allowed:
            found.append(name)
    return found


@pytest.mark.parametrize("path", sorted(LIBRARY.rglob("*.py")), ids=lambda p: p.relative_to(LIBRARY).as_posix())
def test_a_module_knows_only_floors_below_it(path):
    place = path.relative_to(LIBRARY).parts
    assert place[0] in {*BELOW, "__init__.py"} or place[0].removesuffix(".py") in GROUND
    assert trespasses(place, path.read_text(encoding="utf-8")) == []


def test_trespasses_are_seen():
    ours = ("chapters", "ch06_speed_and_stability", "plots.py")
    assert trespasses(("theory", "modes.py"), "def f():\n    from bnlab.layers.batchnorm import BatchNorm") != []
    assert trespasses(ours, "from bnlab.chapters.ch05_channel_scaling import plots") != []
    assert trespasses(ours, "from bnlab.chapters.ch06_speed_and_stability import effects") == []
    assert trespasses(("records", "recorded.py"), "import bnlab.claims.ledger") != []
    assert trespasses(("tables.py",), "from bnlab.randomness import generator") != []


def test_every_public_name_is_there():
    assert sorted(bnlab.__all__) == sorted(set(bnlab.__all__))
    for name in bnlab.__all__:
        assert getattr(bnlab, name) is not None
    assert set(bnlab.__all__) <= set(dir(bnlab))
    with pytest.raises(AttributeError, match="no attribute 'batchnorm'"):
        bnlab.batchnorm  # noqa: B018
