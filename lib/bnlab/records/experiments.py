"""Which module makes the full-scale tables of a chapter."""

# Chapter -> the module of bnlab.chapters whose ``parts`` gives its tables by name, each with what makes it.
EXPERIMENTS = {
    "01": "ch01_algorithm.batch_sizes",
    "02": "ch02_inference_and_noise.inference",
    "04": "ch04_natural_modes.natural_modes",
    "05": "ch05_channel_scaling.channel_scaling",
    "06": "ch06_speed_and_stability.channel_norms",
    "07": "ch07_minimum_disturbance.recording",
    "08": "ch08_internal_covariate_shift.factorial",
    "09": "ch09_smoothness.smoothness",
    "10": "ch10_gradient_flow.gradient_flow",
    "11": "ch11_length_and_direction.decoupling",
    "12": "ch12_convergence_guarantees.tangent_kernels",
    "13": "ch13_learning_rate.learning_rate",
    "14": "ch14_divergence.divergence",
    "15": "ch15_gradients_and_activations.at_initialisation",
    "16": "ch16_random_matrices.matrix_products",
}


def module_name(chapter: str) -> str:
    """Name the module that makes a chapter's full-scale tables.

    >>> module_name("04")
    'bnlab.chapters.ch04_natural_modes.natural_modes'
    """
    return f"bnlab.chapters.{EXPERIMENTS[chapter]}"


def chapter_of(module: str) -> str:
    """Number the chapter that a module makes tables for; nothing, if it makes none.

    >>> chapter_of("bnlab.chapters.ch04_natural_modes.natural_modes")
    '04'
    """
    return next((chapter for chapter in EXPERIMENTS if module_name(chapter) == module), "")
