"""The settings of an experiment as a frozen dataclass, which a function takes as keyword arguments of its own.

A chapter's parameters, a preset and a command line name single values; an experiment with twenty of them describes and
refuses them in one place, and hands them on whole.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable


def taking(settings: type) -> Callable[[Callable], Callable]:
    """Let a function with a parameter ``settings`` be called with the fields of that dataclass, by keyword.

    ``inspect.signature`` shows the fields, with their annotations and defaults, in the place of ``settings``.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Sizes:
    ...     width: int = 3
    ...     depth: int = 2
    >>> @taking(Sizes)
    ... def area(unit, settings):
    ...     return f"{settings.width * settings.depth} {unit}"
    >>> area("m", depth=5)
    '15 m'
    >>> list(inspect.signature(area).parameters)
    ['unit', 'width', 'depth']

    Raises:
        TypeError: as for any function, on the call: a name that neither has, or a field without a value.
    """
    names = [field.name for field in dataclasses.fields(settings)]
    fields = [
        field.replace(kind=inspect.Parameter.KEYWORD_ONLY) for field in inspect.signature(settings).parameters.values()
    ]

    def decorate(function: Callable) -> Callable:
        own = [p for p in inspect.signature(function).parameters.values() if p.name != "settings"]
        first = [p for p in own if p.default is p.empty]
        rest = [p.replace(kind=p.KEYWORD_ONLY) for p in own if p.default is not p.empty]

        @functools.wraps(function)
        def call(*given: object, **named: object) -> object:
            chosen = settings(**{name: named.pop(name) for name in names if name in named})
            return function(*given, settings=chosen, **named)

        call.__signature__ = inspect.Signature([*first, *fields, *rest])
        return call

    return decorate
