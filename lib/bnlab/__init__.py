"""The BN Lab's library: what the chapters of the book import. Importing it defines names and does nothing else.

Its folders are floors, low ones first: a module knows only the floors below it.

    theory    mathematics on tensors
    layers    Batch Normalization by formula, its variants and controls
    models    networks from a choice of normalisation
    datasets  images on a device, checked
    training  one run, or many as one batched computation
    measures  what one looks at in a network
    records   recorded results with their provenance
    sweeps    many runs, one tidy table
    claims    the ledger, verdicts, statistics for few seeds, what a page displays
    figures   the one style and the shapes that figures share
    chapters  what is one chapter's own
    commands  the ``bnlab`` command

The names of ``__all__`` are the public face (`bnlab.face`); each is loaded when it is first asked for.

>>> import bnlab
>>> bnlab.find_norm("batch").after(6).num_features
6
"""

from importlib import import_module


def __getattr__(name: str):
    face = import_module(f"{__name__}.face")
    if name == "__all__":
        return [*face.HOMES, "__version__"]
    if name == "__version__":
        return face.__version__
    if name not in face.HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{face.HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")})
