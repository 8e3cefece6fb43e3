"""Data of a reader's own, for chapters that are asked to run on them; and what chapters say of invented tables."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from bnlab.claims.ledger import Verdict


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


@pytest.fixture
def as_said(request) -> Callable[..., None]:
    """Compare every word and number of some verdicts with ``said.yml`` beside the test; BNLAB_SAID=write writes it."""
    path = request.path.with_name("said.yml")

    def compare(**judged: list[Verdict]) -> None:
        found = {f"{scale} {one.id}": _said(one) for scale, many in judged.items() for one in many}
        if os.environ.get("BNLAB_SAID") == "write":
            path.write_text(yaml.safe_dump(found, allow_unicode=True, sort_keys=False, width=119), encoding="utf-8")
        assert found == yaml.safe_load(path.read_text(encoding="utf-8"))

    return compare


# What tells rows apart, and is no measurement.
KEYS = {"cap", "decay", "effective", "eigenvalue", "kappa", "learning_rate", "mu", "noise", "rate", "share"}


@pytest.fixture
def uneven() -> Callable[[dict[str, pd.DataFrame]], dict[str, pd.DataFrame]]:
    """Tables in which no measurement equals another, so that a word about one cannot pass for a word about another."""

    def change(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
        return {name: _uneven(table) for name, table in tables.items()}

    return change


def _uneven(table: pd.DataFrame) -> pd.DataFrame:
    measured = [name for name in table.select_dtypes("float").columns if name not in KEYS]
    steps = np.arange(table[measured].size).reshape(len(table), -1)
    return table.assign(**(table[measured] * (1 + 0.003 * (steps * 7 % 11 + steps / 100))))


def _said(one: Verdict) -> str:
    numbers = [value for value in (one.statistic, *(one.interval or ())) if value is not None]
    facts = [one.scale, one.data, "seeds", str(one.seeds), "settings", str(one.settings)]
    return f"{one.verdict}: {one.measured} [{' '.join([*facts, *(f'{value:.6g}' for value in numbers)])}]"
