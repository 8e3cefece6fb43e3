"""The ledger as a thing to cite: JSON, CSV, schema.org's ClaimReview, an RO-Crate and a CODECHECK manifest.

All of it is made from the executed book (`verdicts.collect`), none by hand. Of each verdict, what was found and how
firmly stand apart (`standing`), and its address is that of its row: ``ledger.html#C-Eq6``.
"""

import csv
import io
import json
import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from bnlab.claims import ledger, standing, verdicts

PAGE = "book/ledger.html"
FIELDS = (
    "id", "address", "document", "place", "chapter", "kind", "statement", "criterion", "verdict", "direction",
    "confidence", "scale", "quick", "full", "measured", "low", "high", "seeds", "data", "draws_agree", "draws",
    "errata", "amended",
)  # fmt: skip
CRATE = "ro-crate-metadata.json"
PROFILE = "https://w3id.org/ro/crate/1.1"
NOTEBOOK = "application/x-ipynb+json"


def rows(where: Path | None = None) -> list[dict]:
    """One flat record a claim, with the names of `FIELDS`; what there is none of is None."""
    known = ledger.claims(where)
    return [_record(known[row["id"]], row) for row in verdicts.collect(where)]


def _record(claim: ledger.Claim, row: Mapping) -> dict:
    low, high = row["interval"] or (None, None)
    reach = row["reach"] if row["scale"] == "quick" else None
    return {
        "id": claim.id,
        "address": f"{PAGE}#{claim.id}",
        **{name: getattr(claim, name) for name in ("document", "place", "chapter", "kind", "statement", "criterion")},
        "direction": standing.direction(row),
        "confidence": standing.confidence(row),
        **{name: row[name] for name in ("verdict", "scale", "quick", "full", "measured", "seeds", "data")},
        "low": low,
        "high": high,
        "draws_agree": reach and reach["agree"],
        "draws": reach and reach["draws"],
        "errata": " ".join(claim.errata),
        "amended": " ".join(entry.date for entry in claim.amended),
    }


def as_json(records: Sequence[Mapping]) -> str:
    """The records in the order of `FIELDS`, with what the words of direction and confidence mean."""
    meaning = {"verdicts": list(ledger.VERDICTS), "confidence": standing.CONFIDENCES, "kind": ledger.KINDS}
    content = {"meaning": meaning, "claims": [{name: record[name] for name in FIELDS} for record in records]}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def as_csv(records: Sequence[Mapping]) -> str:
    """The records as comma-separated values, a header first (RFC 4180); None is an empty field."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS)
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def as_json_ld(records: Sequence[Mapping], author: str) -> str:
    """The records as schema.org's ClaimReview: what was claimed, where, and how it was rated."""
    reviews = [
        {
            "@type": "ClaimReview",
            "@id": record["address"],
            "url": record["address"],
            "identifier": record["id"],
            "claimReviewed": record["statement"],
            "itemReviewed": {
                "@type": "Claim",
                "appearance": {"@type": "CreativeWork", "name": record["document"], "position": record["place"]},
            },
            "reviewRating": {
                "@type": "Rating",
                "alternateName": record["verdict"],
                "ratingExplanation": record["measured"],
                "reviewAspect": f"{record['direction']}; confidence: {record['confidence']}",
            },
            "author": {"@type": "Organization", "name": author},
        }
        for record in records
    ]
    return json.dumps({"@context": "https://schema.org", "@graph": reviews}, indent=1, ensure_ascii=False) + "\n"


def as_crate(folder: Path, files: Mapping[str, str], facts: Mapping) -> str:
    """RO-Crate 1.1 of a folder: its root, and each file with what it is.

    Args:
        folder: the root of the crate.
        files: path below it -> what it is, in words.
        facts: ``title``, ``license`` and ``date-released`` of the project, as in CITATION.cff.
    """
    parts = [
        {"@id": path, "@type": "File", "name": words, "contentSize": (folder / path).stat().st_size,
         "encodingFormat": media_type(path)}
        for path, words in sorted(files.items())
    ]  # fmt: skip
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": facts["title"],
        "description": "The executed book: pages, ledger of claims with verdicts, recorded tables, notebooks.",
        "license": {"@id": f"https://spdx.org/licenses/{facts['license']}"},
        "datePublished": facts["date-released"],
        "hasPart": [{"@id": part["@id"]} for part in parts],
    }
    licence = {"@id": root["license"]["@id"], "@type": "CreativeWork", "name": facts["license"]}
    about = {"@id": CRATE, "@type": "CreativeWork", "about": {"@id": "./"}, "conformsTo": {"@id": PROFILE}}
    graph = [about, root, licence, *parts]
    context = f"{PROFILE}/context"
    return json.dumps({"@context": context, "@graph": graph}, indent=1, ensure_ascii=False) + "\n"


def as_codecheck(files: Mapping[str, str], facts: Mapping) -> str:
    """CODECHECK configuration 1.0: what a checker must be able to make again; who checked is left for them to write."""
    content = {
        "version": "https://codecheck.org.uk/spec/config/1.0/",
        "paper": {"title": facts["title"], "authors": [{"name": row["name"]} for row in facts["authors"]]},
        "manifest": [{"file": path, "comment": words} for path, words in sorted(files.items())],
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def media_type(path: str) -> str:
    """Name the media type of a file by its name.

    >>> media_type("book/ledger.csv"), media_type("powers.csv.gz")
    ('text/csv', 'application/gzip')
    """
    if path.endswith(".gz"):
        return "application/gzip"
    return NOTEBOOK if path.endswith(".ipynb") else mimetypes.guess_type(path)[0] or "application/octet-stream"
