"""A chapter's parameters: what papermill delivers is coerced to the declared type, or refused in one line.

papermill validates nothing: ``-p rates "[0.1, 3.0]"`` arrives as a string, ``-p flag false`` as the (true) string
``"false"``, and a misspelt name is injected in silence while the chapter runs with its default. So the cell after the
``parameters`` cell of every chapter calls `check`, which names the parameter, the value, and what would be right.
The ``bnlab`` command executes that same cell before it starts a kernel, so both doors give the same answer.
"""

import ast
import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass

import yaml

# papermill writes this line on top of the cell it injects; it is how a foreign name is told from a chapter's own.
INJECTED = "# Parameters"


class ParameterError(ValueError):
    """A parameter that a chapter does not have, or a value that it cannot use. Its text is one clear line."""

    def _render_traceback_(self):
        # IPython calls this: a reader who mistypes a parameter needs the line, not forty lines of stack.
        return [f"ParameterError: {self}"]


@dataclass(frozen=True)
class Kind:
    """What a parameter may be: a type for people, and the function that turns what arrived into a plain value.

    ``coerce`` raises ValueError with the reason when it cannot.
    """

    description: str
    type: str
    coerce: Callable[[object], object]


def _literal(value: object) -> object:
    """Read a string as what it looks like: a list, a boolean, a number; anything else stays what it is."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    # literal_eval first, for 1e-3 (which YAML 1.1 takes for a string); then YAML, for true and false.
    for read in (ast.literal_eval, yaml.safe_load):
        try:
            return read(text)
        except (ValueError, SyntaxError, yaml.YAMLError, MemoryError, RecursionError):
            continue
    return value


def _number(value: object) -> float:
    value = _literal(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number")
    if not math.isfinite(value):
        raise ValueError("not finite")
    return float(value)


def integer(low: int | None = None, high: int | None = None) -> Kind:
    """Describe a whole number with low <= value <= high.

    >>> integer(1).coerce("3")
    3
    """

    def coerce(value: object) -> int:
        number = _number(value)
        if number != int(number):
            raise ValueError("not a whole number")
        _within(number, low, high)
        return int(number)

    return Kind(f"a whole number{_range(low, high)}", "int", coerce)


def real(low: float | None = None, high: float | None = None, *, above: float | None = None) -> Kind:
    """Describe a finite real number with low <= value <= high, or value > above.

    >>> real(above=0).coerce("1e-3")
    0.001
    """

    def coerce(value: object) -> float:
        number = _number(value)
        _within(number, low, high, above)
        return number

    return Kind(f"a number{_range(low, high, above)}", "float", coerce)


def boolean() -> Kind:
    """Describe a truth value: True or False, also written true, false, yes, no, 1, 0.

    >>> boolean().coerce("false")
    False
    """

    def coerce(value: object) -> bool:
        value = _literal(value)
        if value in (True, False) and not isinstance(value, float):
            return bool(value)
        raise ValueError("neither true nor false")

    return Kind("true or false", "bool", coerce)


def choice(*options: str) -> Kind:
    """Describe one of a few names.

    >>> choice("batch", "none").coerce("none")
    'none'
    """

    def coerce(value: object) -> str:
        if value in options:
            return str(value)
        near = difflib.get_close_matches(str(value), options, n=1)
        raise ValueError(f"did you mean {near[0]!r}?" if near else "no such choice")

    return Kind("one of " + ", ".join(options), "str", coerce)


def text() -> Kind:
    """Describe any non-empty string.

    >>> text().coerce("photographs")
    'photographs'
    """

    def coerce(value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            raise ValueError("not a non-empty text")
        return value

    return Kind("a text", "str", coerce)


def list_of(item: Kind, *, at_least: int = 1) -> Kind:
    """Describe a list whose every entry is of one kind; a single value counts as a list of one.

    >>> list_of(real(above=0)).coerce("[0.1, 3]")
    [0.1, 3.0]
    """

    def coerce(value: object) -> list:
        value = _literal(value)
        values = list(value) if isinstance(value, list | tuple) else [value]
        if len(values) < at_least:
            raise ValueError(f"{len(values)} entries")
        return [item.coerce(entry) for entry in values]

    return Kind(f"a list of at least {at_least}, each {item.description}", "list", coerce)


def dataset() -> Kind:
    """Describe a data set that `bnlab.datasets.load` knows, or ``folder:PATH``."""
    from bnlab.datasets import NAMES  # late: a chapter without data must not need the data floor

    def coerce(value: object) -> str:
        if isinstance(value, str) and value.startswith("folder:") and len(value) > len("folder:"):
            return value
        return choice(*NAMES).coerce(value)

    return Kind("one of " + ", ".join(NAMES) + " or folder:PATH", "str", coerce)


def device() -> Kind:
    """Describe where tensors live: auto (CUDA where there is one), cpu or cuda; the answer is cpu or cuda."""

    def coerce(value: object) -> str:
        import torch  # late: refusing a misspelt name needs no torch

        value = choice("auto", "cpu", "cuda").coerce(value)
        available = torch.cuda.is_available()
        if value == "cuda" and not available:
            raise ValueError("this machine's torch sees no CUDA device")
        return ("cuda" if available else "cpu") if value == "auto" else value

    return Kind("auto, cpu, or cuda where there is one", "str", coerce)


def check(namespace: dict, **kinds: Kind) -> dict[str, object]:
    """Coerce every declared parameter found in ``namespace`` and refuse what cannot be used.

    Args:
        namespace: the notebook's ``globals()``; its ``In`` list shows which names papermill injected.
        kinds: one `Kind` a parameter, by name.

    Returns:
        The coerced values by name, for ``globals().update(...)``.

    Raises:
        ParameterError: an unknown name (with the nearest right one) or a value that cannot be used.
    """
    for name in injected_names(namespace.get("In", [])):
        if name not in kinds:
            near = difflib.get_close_matches(name, kinds, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ParameterError(f"unknown parameter {name}: {hint}This chapter has {', '.join(kinds)}.")
    values = {}
    for name, kind in kinds.items():
        try:
            values[name] = kind.coerce(namespace[name])
        except ValueError as reason:
            raise ParameterError(
                f"{name} = {namespace[name]!r} cannot be used ({reason}): it must be {kind.description}."
            ) from None
    return values


def injected_names(cells: list[str]) -> list[str]:
    """List the names assigned in the last cell that papermill injected; none if it injected nothing.

    >>> injected_names(["epochs: int = 2", "# Parameters\\nepoch = 3"])
    ['epoch']
    """
    injected = [source for source in cells if source.lstrip().startswith(INJECTED)]
    if not injected:
        return []
    return [
        target.id
        for node in ast.parse(injected[-1]).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]


def _within(number: float, low: float | None, high: float | None, above: float | None = None) -> None:
    if low is not None and number < low:
        raise ValueError(f"below {low}")
    if high is not None and number > high:
        raise ValueError(f"above {high}")
    if above is not None and number <= above:
        raise ValueError(f"not above {above}")


def _range(low: float | None, high: float | None, above: float | None = None) -> str:
    parts = []
    if above is not None:
        parts.append(f"above {above}")
    if low is not None:
        parts.append(f"at least {low}")
    if high is not None:
        parts.append(f"at most {high}")
    return (", " + " and ".join(parts)) if parts else ""
