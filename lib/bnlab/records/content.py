"""Values by their content: what may stand in a key, and the refusal of what has no stable content.

>>> import numpy
>>> content({"rates": numpy.array([0.1]), "seed": numpy.int64(3)}) == content({"seed": 3, "rates": numpy.array([0.1])})
True
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from types import BuiltinFunctionType, FunctionType, MethodType

import numpy as np


class ContentError(ValueError):
    """A value without a stable content. Its text is one clear line that names the value."""


def content(value: object, name: str = "value", modules: set[str] | None = None) -> object:
    """Describe a value by plain lists, texts and numbers, the same in every process.

    Plain values, lists, mappings and sets; NumPy's scalars as numbers; arrays and tensors by type, shape and bytes, on
    whatever device; dataclasses by qualified name and fields; functions, methods and classes by qualified name, and
    what `functools.partial` binds to them.

    Args:
        value: what to describe.
        name: how a refusal calls it.
        modules: gathers the modules of all functions and types met.

    Raises:
        ContentError: a lambda, a closure, an object of another kind.
    """
    gathered = set() if modules is None else modules
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, FunctionType | BuiltinFunctionType | type):
        return ["importable", _qualified(value, name, gathered)]
    if isinstance(value, MethodType):
        inner = content(value.__self__, f"{name}.__self__", gathered)
        return ["method", inner, _qualified(value.__func__, name, gathered)]
    if isinstance(value, partial):
        keywords = content(value.keywords, name, gathered)
        return ["partial", content(value.func, name, gathered), content(value.args, name, gathered), keywords]
    if isinstance(value, Mapping):
        pairs = [[content(k, name, gathered), content(v, f"{name}[{k!r}]", gathered)] for k, v in value.items()]
        return ["mapping", sorted(pairs, key=json.dumps)]
    if isinstance(value, list | tuple | range):
        return [content(entry, f"{name}[{place}]", gathered) for place, entry in enumerate(value)]
    if isinstance(value, set | frozenset):
        return ["set", sorted((content(entry, name, gathered) for entry in value), key=json.dumps)]
    if dataclasses.is_dataclass(value):
        fields = [field.name for field in dataclasses.fields(value) if field.compare]
        inside = {field: content(getattr(value, field), f"{name}.{field}", gathered) for field in fields}
        return ["dataclass", _qualified(type(value), name, gathered), inside]
    return _array(value, name)


def _qualified(thing: object, name: str, modules: set[str]) -> str:
    """Name a function or class so that any process can find it, or refuse."""
    module, inside = getattr(thing, "__module__", None) or "builtins", thing.__qualname__
    found = import_module(module)  # loaded already, else the thing would not be here
    for part in inside.split("."):
        found = getattr(found, part, None)
    if found is not thing:
        raise ContentError(
            f"{name} = {module}.{inside} has no stable key, so its results cannot be kept: use a function or class "
            "that stands on its own in a module"
        )
    modules.add(module)
    return f"{module}.{inside}"


def _array(value: object, name: str) -> object:
    import torch  # late: reading a result or the ledger needs no torch

    if isinstance(value, torch.dtype | torch.device):
        return str(value)
    if isinstance(value, torch.Tensor) and value.layout is torch.strided and not value.is_quantized:
        flat = value.detach().cpu().contiguous().reshape(-1)  # the same on every device
        return ["tensor", str(value.dtype), list(value.shape), _sha(flat.view(torch.uint8).numpy())]
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        plain = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
        return ["array", plain.dtype.str, list(value.shape), _sha(plain.reshape(-1).view(np.uint8))]
    raise ContentError(
        f"{name} = {_shown(value)} has no stable key, so its results cannot be kept: use plain values, arrays, "
        "dataclasses of them, or functions that stand on their own in a module"
    )


def _sha(raw: np.ndarray) -> str:
    return hashlib.sha256(raw.data).hexdigest()


def _shown(value: object) -> str:
    return f"an object of {type(value).__module__}.{type(value).__qualname__}"
