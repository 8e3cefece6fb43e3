"""The public face: where each name that `bnlab` offers lives.

A file of its own, loaded when a name is first asked for, because it decides no number: the library's `__init__` is
among the sources of every recorded result, and a new public name must not make them all look old.
"""

__version__ = "0.1.0"

# Text, not imports: reading a ledger must not wait for torch.
HOMES = {
    "autocorrelation": "theory.spectra",
    "natural_modes": "theory.modes",
    "stability_bound": "theory.stability",
    "BatchNorm": "layers.batchnorm",
    "NlmsConv2d": "layers.nlms",
    "RmsNorm": "layers.rms_norm",
    "ThresholdNorm": "layers.threshold_norm",
    "fold_network": "layers.inference",
    "exact_statistics": "layers.population",
    "LeNet": "models.lenet",
    "MLP": "models.mlp",
    "ResidualMLP": "models.residual_mlp",
    "ResNet": "models.resnet",
    "VGG": "models.vgg",
    "find_norm": "models.norms",
    "Dataset": "datasets",
    "load": "datasets",
    "Job": "training.train",
    "train": "training.train",
    "train_batched": "training.batched",
    "train_many": "training.many",
    "empirical_ntk": "measures.kernels",
    "gradient_profile": "measures.jacobians",
    "hessian_ends": "measures.curvature",
    "LossSurface": "measures.surface",
    "input_autocorrelation": "measures.probes",
    "grid": "sweeps.sweep",
    "sweep": "sweeps.sweep",
    "generator": "randomness",
}
