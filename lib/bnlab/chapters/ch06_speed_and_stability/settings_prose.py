"""Sentences that the page says of settings left open: verdicts by their shorter runs, and what was expected of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from bnlab.chapters.ch06_speed_and_stability import survival
from bnlab.chapters.ch06_speed_and_stability.unknown_causes import CAPS
from bnlab.chapters.ch06_speed_and_stability.unknown_order import EPOCHS
from bnlab.claims import settings_left_open
from bnlab.claims.ledger import Verdict
from bnlab.claims.markup import listed
from bnlab.claims.settings_left_open import BOOK, MANY, UNJUDGED
from bnlab.sweeps.unknowns import WITHOUT_THRESHOLDS


def other_verdicts(reach: pd.DataFrame | None, verdicts: Sequence[Verdict]) -> str:
    """Say which verdicts are others in the book's own setting, by the runs of the settings, than by the whole sweep.

    Args:
        reach: what `unknown_verdicts.by_setting` gives, or None.
        verdicts: by the whole recording.
    """
    if reach is None:
        return ""
    own = reach[reach["changed"] == BOOK].set_index("claim")["verdict"]
    whole = {verdict.id: verdict.verdict for verdict in verdicts}
    others = {claim: word for claim, word in own.items() if whole.get(claim, word) != word}
    told = [f"{claim} is {word} (above: {whole[claim]})" for claim, word in others.items()]
    return f"By these runs, shorter and at fewer rates, {listed(told)} in the book's own setting." if told else ""


def expected(reach: pd.DataFrame | None, warmed: pd.DataFrame | None = None) -> str:
    """Say what was expected of causes, equivalence and warm-ups in these settings before their runs, and what came.

    Args:
        reach: what `unknown_verdicts.by_setting` gives, or None.
        warmed: the table ``unknown_warm_up``, or None.
    """
    makers = {"C-Sep": _of_speed, "C-Sup": _of_caps, "C-Order": _of_order}
    if warmed is not None:
        makers["L-Warm6"] = partial(_of_warm_ups, warmed=warmed)
    there = () if reach is None else set(reach["claim"])
    said = [make(reach[reach["claim"] == claim]) for claim, make in makers.items() if claim in there]
    return f"Expected before their runs were made: {'; '.join(said)}." if said else ""


def equivalent_elsewhere(reach: pd.DataFrame | None) -> str:
    """Say in how many other settings BN matches BN_Suppress, and in the book's own; nothing where that was not run.

    Args:
        reach: what `unknown_verdicts.by_setting` gives, or None.
    """
    found = None if reach is None else reach[reach["claim"] == "C-Order"]
    if found is None or found.empty:
        return ""
    own = found.loc[found["changed"] == BOOK, "verdict"].iloc[0]
    return (
        f"After {listed([str(epoch) for epoch in EPOCHS])} epochs it is {own} in the book's own setting; of the others "
        f"that the document leaves open, reproduced in {_reproduced(found)}."
    )


def _of_speed(found: pd.DataFrame) -> str:
    share = settings_left_open.counts(found).iloc[0]
    without = int((found["verdict"] == "reported").sum())
    return (
        f"that the verdict on C-Sep comes out again in nine of ten settings or more (it "
        f"{_held(share['agree'], share['settings'])}; in {without} there is no gap to close, BN being ahead in no "
        f"seed), and that initial weights three times as large turn it first ({_turned(found)})"
    )


def _of_caps(found: pd.DataFrame) -> str:
    return (
        f"that the product of cap and rate is constant in no setting (it is in {_reproduced(found)}; of the caps, "
        f"{listed([f'{cap:g}' for cap in CAPS])} were run here)"
    )


def _of_order(found: pd.DataFrame) -> str:
    share = (found.loc[found["changed"] != BOOK, "verdict"] == "reproduced").mean()
    own = found.loc[found["changed"] == BOOK, "verdict"].iloc[0]
    alone = {
        "another rate of everything else": f"other rate {WITHOUT_THRESHOLDS['other_rate'][1]}",
        "images without margins": f"images {WITHOUT_THRESHOLDS['images'][1]}",
    }
    came = [f"with {words} it {_came(found, where, own)}" for words, where in alone.items()]
    return (
        f"that C-Order is reproduced in more than half of the settings (it {'is' if share > 1 / 2 else 'is not'}: in "
        f"{_reproduced(found)}), and that neither {' nor '.join(alone)}, changed alone, turns it ({listed(came)})"
    )


def _of_warm_ups(found: pd.DataFrame, warmed: pd.DataFrame) -> str:
    batch = _of_others(warmed[warmed["norm"] == "batch"])
    batch = survival.states(batch, batch["step"].max(), [*WITHOUT_THRESHOLDS, "learning_rate", "seed"])
    lost = batch.groupby(list(WITHOUT_THRESHOLDS))["lost"].any().reset_index()
    large = lost[lost["gain"] == max(WITHOUT_THRESHOLDS["gain"])]["lost"]
    whole = int((~lost["lost"]).sum())
    return (
        f"that a warm-up brings the plain network within an octave of BN in no setting (L-Warm6 is reproduced in "
        f"{_reproduced(found)}), for BN survives the whole grid in nine of ten or more (it {_held(whole, len(lost))}), "
        f"and that those with initial weights three times as large are among those in which it does not ({large.sum()} "
        f"of {len(large)} are)"
    )


def _turned(found: pd.DataFrame) -> str:
    """Say what turns a verdict where nothing else is changed."""
    own = found.loc[found["changed"] == BOOK, "verdict"].iloc[0]
    alone = found[~found["changed"].isin((BOOK, MANY)) & (found["verdict"] != own)]["changed"].tolist()
    return f"changed alone, it is turned by {listed(alone) if alone else 'nothing'}"


def _came(found: pd.DataFrame, where: str, own: str) -> str:
    """Say of one setting whether its verdict is the book's own."""
    word = found.loc[found["changed"] == where, "verdict"].iloc[0]
    if word == UNJUDGED:
        return "cannot be judged"
    return f"stays {own}" if word == own else f"becomes {word}"


def _reproduced(found: pd.DataFrame) -> str:
    """In how many settings besides the book's own a claim is reproduced, and partly, and cannot be judged."""
    others = found[found["changed"] != BOOK]["verdict"]
    more = [f", {word} in {count}" for word in ("partly", UNJUDGED) if (count := (others == word).sum())]
    return f"{(others == 'reproduced').sum()} of {len(others)}{''.join(more)}"


def _of_others(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs in settings besides the book's own."""
    book = pd.Series({name: values[0] for name, values in WITHOUT_THRESHOLDS.items()})
    return runs[(runs[list(book.index)] != book).any(axis=1)]


def _held(count: int, settings: int) -> str:
    """Say whether nine of ten are reached, and by how many."""
    return f"{'did' if 10 * count >= 9 * settings else 'did not'}: in {count} of {settings}"
