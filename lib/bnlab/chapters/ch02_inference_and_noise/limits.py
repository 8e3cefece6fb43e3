"""What the parameters of chapter 02 may not exceed, for its check cell and for a recording before its first part."""

from __future__ import annotations

from collections.abc import Sequence

from bnlab.chapters.ch02_inference_and_noise.regularisation import GROUP
from bnlab.datasets import Dataset


def of(
    dataset: Dataset,
    training_images: int,
    compared_images: int,
    batch_sizes: Sequence[int],
    gap_images: int,
    gap_batch_size: int,
) -> list[tuple[bool, str, object, str]]:
    """Limits that lie in the data or in other parameters: whether one is kept, its parameter, value, what is right."""
    train, test = len(dataset.train_labels), len(dataset.test_labels)
    of_train, of_test = (
        f"at most {train}, all of {dataset.title}",
        f"at most {test}, the test images of {dataset.title}",
    )
    fit, fill = max(batch_sizes) <= training_images, gap_batch_size <= gap_images and gap_batch_size % GROUP == 0
    return [
        (training_images <= train, "training_images", training_images, of_train),
        (compared_images <= test, "compared_images", compared_images, of_test),
        (fit, "batch_sizes", batch_sizes, f"at most {training_images}, training_images"),
        (gap_images <= train, "gap_images", gap_images, of_train),
        (fill, "gap_batch_size", gap_batch_size, f"a multiple of {GROUP} and at most {gap_images}, gap_images"),
    ]
