"""The ledger's other forms: nothing lost, nothing invented, readable by the parsers of their formats."""

import csv
import io
import json

import pytest
import yaml
from conftest import write_draws

from bnlab.claims import export, ledger

FACTS = {"title": "A book", "license": "MIT", "date-released": "2026-11-21", "authors": [{"name": "Nobody"}]}


@pytest.fixture
def records(built):
    write_draws(
        built, *({"seed": n, "failed": None, "verdicts": {"T-Sum": {"verdict": "refuted"}}} for n in (100, 200))
    )
    return export.rows()


def test_a_record_a_claim_with_direction_and_confidence_apart(records):
    by_id = {record["id"]: record for record in records}
    assert list(by_id) == list(ledger.claims())
    assert all(set(record) == set(export.FIELDS) for record in records)
    assert by_id["T-Sum"]["address"] == "book/ledger.html#T-Sum"
    assert (by_id["T-Bound"]["direction"], by_id["T-Bound"]["confidence"]) == ("supports a corrected form", "exact")
    assert (by_id["T-Trend"]["direction"], by_id["T-Trend"]["confidence"]) == ("mixed", "medium")
    assert (by_id["T-Head"]["direction"], by_id["T-Head"]["confidence"]) == ("undecided", "none")
    assert (by_id["T-Sum"]["draws_agree"], by_id["T-Sum"]["draws"]) == (0, 2)
    assert by_id["T-Head"]["draws"] is None


def test_json_and_csv_say_the_same(records):
    stored = json.loads(export.as_json(records))
    assert list(stored["claims"][0]) == list(export.FIELDS)
    rows = list(csv.DictReader(io.StringIO(export.as_csv(records), newline="")))
    expected = [{k: "" if v is None else str(v) for k, v in claim.items()} for claim in stored["claims"]]
    assert rows == expected
    assert {claim["confidence"] for claim in stored["claims"]} <= set(stored["meaning"]["confidence"])


def test_a_text_with_commas_quotes_and_lines_survives_csv(records):
    awkward = [record | {"statement": 'a, "b"\nc'} for record in records]
    rows = list(csv.DictReader(io.StringIO(export.as_csv(awkward), newline="")))
    assert {row["statement"] for row in rows} == {'a, "b"\nc'}


def test_each_claim_is_a_review_of_its_statement(records):
    linked = json.loads(export.as_json_ld(records, "Nobody"))
    assert linked["@context"] == "https://schema.org"
    for review, record in zip(linked["@graph"], records, strict=True):
        assert review["@type"] == "ClaimReview"
        assert review["claimReviewed"] == record["statement"]
        assert review["reviewRating"]["alternateName"] == record["verdict"]
        assert review["itemReviewed"]["appearance"]["name"] == record["document"]


def test_a_crate_describes_itself_its_root_and_every_file(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "ledger.csv").write_text("id\n")
    (tmp_path / "powers.csv.gz").write_bytes(b"12345")
    crate = json.loads(export.as_crate(tmp_path, {"book/ledger.csv": "the ledger", "powers.csv.gz": "powers"}, FACTS))
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    assert crate["@context"] == "https://w3id.org/ro/crate/1.1/context"
    about = entities["ro-crate-metadata.json"]
    assert (about["about"], about["conformsTo"]) == ({"@id": "./"}, {"@id": "https://w3id.org/ro/crate/1.1"})
    root = entities["./"]
    assert {"name", "description", "datePublished", "license", "hasPart"} <= set(root)
    assert {part["@id"] for part in root["hasPart"]} == {"book/ledger.csv", "powers.csv.gz"}
    assert root["license"]["@id"] in entities
    assert entities["powers.csv.gz"]["contentSize"] == 5
    assert entities["powers.csv.gz"]["encodingFormat"] == "application/gzip"


def test_a_file_that_is_not_there_is_no_part_of_a_crate(tmp_path):
    with pytest.raises(FileNotFoundError):
        export.as_crate(tmp_path, {"gone.csv": "gone"}, FACTS)


def test_a_manifest_lists_every_file_and_names_no_checker():
    found = yaml.safe_load(export.as_codecheck({"b.csv": "second", "a.csv": "first"}, FACTS))
    assert found["version"] == "https://codecheck.org.uk/spec/config/1.0/"
    assert found["manifest"] == [{"file": "a.csv", "comment": "first"}, {"file": "b.csv", "comment": "second"}]
    assert found["paper"]["authors"] == [{"name": "Nobody"}]
    assert "codechecker" not in found
