"""Keys: a number is named by what decides it, and by nothing else.

The source that decides it is the transitive closure of a module's imports inside the library, found by reading, never
by executing. What is hashed of a module is its tokens without comments, docstrings, blank lines and layout, so that
an explanation can be mended without throwing hours of results away.

>>> "bnlab.theory.modes" in sources("bnlab.measures.probes")
True
"""

import ast
import hashlib
import importlib.util
import json
import sys
import sysconfig
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import bnlab
from bnlab.records.arithmetic import Arithmetic
from bnlab.records.content import content
from bnlab.records.tokens import source_hash

FORMAT = 2  # of what is hashed: raised when a key's recipe changes, which renames every number
LIBRARY = "bnlab"


class KeyingError(ValueError):
    """Something that has no key: a source that cannot be read, a module without a file. Its text is one clear line."""


def sources(*modules: str, library: Path | None = None) -> dict[str, str]:
    """Hash the source of modules and of all they import of the library: ``{module: hash}``, sorted by name.

    Imports count wherever they stand, inside functions and package ``__init__``s too, and so does ``import_module`` of
    a literal. A module that is not the library's (an experiment of your own) counts itself, and what it imports of it.

    Args:
        modules: dotted names.
        library: another copy of the library's folder, of an earlier commit say.

    Raises:
        KeyingError: a module without a source file, or one that is no Python.
    """
    folder = Path(bnlab.__file__).parent if library is None else Path(library)
    found: dict[str, str] = {}
    waiting = [name for module in modules for name in _with_packages(module)]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        path = _file(name, folder)
        found[name], targets = _hash_and_imports(name, path, _stamp(path))
        for target in targets:
            waiting += _resolved(target, folder)
    return dict(sorted(found.items()))


def _imported(text: str, package: str) -> set[str]:
    """Dotted names that a source imports, wherever in it; of ``from a import b`` both ``a`` and ``a.b``."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                below = getattr(node.args[1], "value", package) if len(node.args) > 1 else package
                names.add(importlib.util.resolve_name(node.args[0].value, below))
    return names


def _resolved(name: str, folder: Path) -> list[str]:
    """Modules of the library that an imported name loads: the packages on its way and itself, if it is a module."""
    if name.partition(".")[0] != LIBRARY:
        return []
    known = [part for part in _with_packages(name) if _place(part, folder) is not None]
    if known == [LIBRARY] and name != LIBRARY:  # `from bnlab import train`: the public face says where it lives
        home = _homes(folder).get(name.split(".")[1])
        return known if home is None else _with_packages(f"{LIBRARY}.{home}")
    return known


def _homes(folder: Path) -> dict[str, str]:
    face = _place(f"{LIBRARY}.face", folder)
    for node in ast.parse(face.read_text(encoding="utf-8")).body if face else ():
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "HOMES":
            return ast.literal_eval(node.value)
    return {}


def _with_packages(name: str) -> list[str]:
    parts = name.split(".")
    if parts[0] != LIBRARY:
        return [name]
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _place(name: str, folder: Path) -> Path | None:
    stem = folder.joinpath(*name.split(".")[1:])
    places = (stem / "__init__.py", stem.parent / f"{stem.name}.py" if stem != folder else stem / "__init__.py")
    return next((path for path in places if path.is_file()), None)


def _file(name: str, folder: Path) -> Path:
    if name.partition(".")[0] == LIBRARY:
        path = _place(name, folder)
    else:  # somebody's own module, which is loaded already: its function was handed in
        path = getattr(sys.modules.get(name), "__file__", None)
    if path is None:
        raise KeyingError(f"module {name} has no source file, so nothing can be kept under its name: put it in a file.")
    return Path(path)


@cache  # by the file's stamp: nine chapters share most of the library
def _hash_and_imports(name: str, path: Path, stamp: tuple) -> tuple[str, frozenset[str]]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    try:
        with tokenize.open(path) as file:
            text = file.read()
        return source_hash(text), frozenset(_imported(text, package))
    except (OSError, SyntaxError, ValueError, tokenize.TokenError) as error:
        raise KeyingError(f"the source of {name} cannot be read ({path}: {error}).") from None


@dataclass(frozen=True)
class Sources:
    """The closure of some modules as it was when the work began; `changed` says what is different now."""

    modules: tuple[str, ...]
    hashes: Mapping[str, str]
    stamps: Mapping[Path, tuple]  # of the files, so that an unchanged library is not read again after every run

    @classmethod
    def of(cls, *modules: str) -> "Sources":
        """Hash the closure of modules as it is now."""
        hashes = sources(*modules)
        return cls(modules, hashes, {path: _stamp(path) for path in map(_found, hashes)})

    def changed(self) -> list[str]:
        """Names of the modules whose source was changed, added or removed since, sorted."""
        if all(_stamp(path) == stamp for path, stamp in self.stamps.items()):
            return []
        try:
            now = sources(*self.modules)
        except KeyingError as error:
            return [str(error).rstrip(".")]
        return differing(self.hashes, now)


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """Names of the modules that two maps of sources do not agree on, sorted."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def _found(name: str) -> Path:
    return _file(name, Path(bnlab.__file__).parent)


def _stamp(path: Path) -> tuple:
    try:
        stat = path.stat()
    except OSError:
        return ()
    return (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)


def decisive(modules: Iterable[str]) -> list[str]:
    """Drop the modules of Python itself and of packages, whose source is not read: their versions say which they are.

    Raises:
        KeyingError: a module of somebody's own without a file, such as an interactive session.
    """
    own = {name for name in modules if name.partition(".")[0] == LIBRARY}
    for name in set(modules) - own:
        file = getattr(sys.modules[name], "__file__", None)
        if name == "__main__" or (file and not {"site-packages", "dist-packages"} & set(Path(file).parts)):
            own |= set() if file and Path(file).is_relative_to(sysconfig.get_path("stdlib")) else {name}
    return sorted(own)


def recording_key(
    chapter: str,
    parameters: Mapping[str, object],
    hashes: Mapping[str, str],
    data: str | None,
    arithmetic: Arithmetic,
) -> str:
    """Name a recording by chapter, parameters, sources, checksum of the data (None without), and arithmetic."""
    facts = {"chapter": chapter, "parameters": content(parameters), "sources": dict(hashes), "data": data}
    return digest({**facts, **arithmetic.facts()})


def digest(facts: Mapping[str, object]) -> str:
    """SHA-256 of plain facts, in hexadecimal digits, with the format of keys among them."""
    text = json.dumps({"format": FORMAT, **facts}, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
