"""Data of a reader's own, for chapters that are asked to run on them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def folder_of_images() -> Callable[[Path, int, int], Path]:
    """Write a folder of so many classes, each of so many grey images, and give its path."""

    def write(where: Path, classes: int, images: int) -> Path:
        draws = np.random.default_rng(0)
        for label in range(classes):
            (own := where / "tree" / f"class {label}").mkdir(parents=True)
            for n in range(images):
                Image.fromarray(draws.integers(0, 256, (32, 32), dtype=np.uint8)).save(own / f"{n}.png")
        return where / "tree"

    return write
