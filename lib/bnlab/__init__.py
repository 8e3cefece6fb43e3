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

The names of ``__all__`` are the public face; each is loaded when it is first asked for.

>>> import bnlab
>>> bnlab.find_norm("batch").after(6).num_features
6
"""

from importlib import import_module

__version__ = "0.1.0"

# Where each public name lives. Text, not imports: reading a ledger must not wait for torch.
_HOMES = {
    "autocorrelation": "theory.spectra",
    "natural_modes": "theory.modes",
    "stability_bound": "theory.modes",
    "BatchNorm": "layers.batchnorm",
    "NlmsConv2d": "layers.nlms",
    "RmsNorm": "layers.rms_norm",
    "ThresholdNorm": "layers.threshold_norm",
    "fold_network": "layers.inference",
    "exact_statistics": "layers.population",
    "LeNet": "models.lenet",
    "MLP": "models.mlp",
    "find_norm": "models.norms",
    "Dataset": "datasets",
    "load": "datasets",
    "Job": "training.train",
    "train": "training.train",
    "train_batched": "training.batched",
    "empirical_ntk": "measures.kernels",
    "input_autocorrelation": "measures.probes",
    "grid": "sweeps.sweep",
    "sweep": "sweeps.sweep",
    "generator": "randomness",
}
__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
