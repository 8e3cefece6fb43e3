"""A chapter's parameters: what papermill delivers is coerced to the declared type, or refused in one line.

papermill validates nothing: ``-p rates "[0.1, 3.0]"`` arrives as a string, ``-p flag false`` as the (true) string
``"false"``, and a misspelt name is injected in silence while the chapter runs with its default. So the cell after the
``parameters`` cell of every chapter calls `check`, which names the parameter, the value, and what would be right.
The ``bnlab`` command executes that same cell before it starts a kernel, so both doors give the same answer.
"""

import ast
from collections.abc import Iterable

from bnlab.commands.kinds import Kind, boolean, choice, dataset, device, integer, list_of, real, text
from bnlab.literals import nearest

__all__ = [
    "INJECTED",
    "Kind",
    "ParameterError",
    "boolean",
    "check",
    "choice",
    "dataset",
    "device",
    "injected_names",
    "integer",
    "list_of",
    "loaded",
    "own_run",
    "real",
    "require",
    "text",
    "unknown",
    "usable",
]

# papermill writes this line on top of the cell it injects; it is how a foreign name is told from a chapter's own.
INJECTED = "# Parameters"
PAPERMILLS_OWN = {"PAPERMILL_INPUT_PATH", "PAPERMILL_OUTPUT_PATH"}  # papermill --inject-paths; no chapter reads them
LONGEST_SHOWN = 80  # characters of a refused value: the answer is one line


class ParameterError(ValueError):
    """A parameter that a chapter does not have, or a value that it cannot use. Its text is one clear line."""

    def _render_traceback_(self):
        # IPython calls this: a reader who mistypes a parameter needs the line, not forty lines of stack.
        return [f"ParameterError: {self}"]


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
            raise unknown(name, kinds)
    if undeclared := [name for name in kinds if name not in namespace]:
        raise ParameterError(f"{undeclared[0]} is checked but not declared: give it a default in the parameters cell.")
    return {name: usable(name, namespace[name], kind) for name, kind in kinds.items()}


def own_run(namespace: dict) -> bool:
    """Say whether a reader gave parameters: then the page is about that run, and the recorded one stands beside it.

    >>> own_run({"In": ["epochs: int = 2"]})
    False
    """
    return bool(injected_names(namespace.get("In", [])))


def require(holds: object, name: str, value: object, right: str) -> None:
    """Refuse a value for a reason that lies in other parameters or in the data; for the check cell, after `check`.

    >>> require(3 <= 2, "images", 3, "at most 2, all that there are")
    Traceback (most recent call last):
    bnlab.commands.parameters.ParameterError: images = 3 cannot be used: it must be at most 2, all that there are.

    Raises:
        ParameterError: ``holds`` is false; the line says ``right``, what the value must be.
    """
    if not holds:
        raise ParameterError(f"{name} = {_shown(value)} cannot be used: it must be {right}.")


def loaded(name: str, **options):
    """Load the data set that a chapter was given, so that its check cell can hold other parameters against it.

    Raises:
        ParameterError: it cannot be loaded; the line says why.
    """
    from bnlab import datasets  # late, as in `dataset`

    try:
        return datasets.load(name, **options)
    except datasets.DatasetError as error:
        raise ParameterError(f"dataset = {_shown(name)} cannot be used: {error}") from None


def unknown(name: str, known: Iterable[str], whose: str = "This chapter") -> ParameterError:
    """Build the refusal of a parameter that is not there, with the nearest one that is."""
    near, shown = nearest(name, known), name if name.isidentifier() else repr(name)
    hint = f"did you mean {near}? " if near else ""
    return ParameterError(f"unknown parameter {shown}: {hint}{whose} has {', '.join(known)}.")


def usable(name: str, value: object, kind: Kind) -> object:
    """Coerce one value.

    Raises:
        ParameterError: it cannot be used; the line names the parameter, the value, and what would be right.
    """
    try:
        return kind.coerce(value)
    except ValueError as reason:
        raise ParameterError(
            f"{name} = {_shown(value)} cannot be used ({reason}): it must be {kind.description}."
        ) from None


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= LONGEST_SHOWN else f"{shown[:LONGEST_SHOWN]}... ({len(shown)} characters)"


def injected_names(cells: list[str]) -> list[str]:
    """List the names that papermill injected last, but for those of its own; none if it injected nothing.

    >>> injected_names(["epochs: int = 2", "# Parameters\\nepoch = 3"])
    ['epoch']
    """
    injected = [source for source in cells if source.strip().partition("\n")[0] == INJECTED]
    if not injected:
        return []
    return [
        target.id
        for node in ast.parse(injected[-1]).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id not in PAPERMILLS_OWN
    ]
