import gzip
import hashlib
import json
import os
import subprocess
import sys
import textwrap
import time

import numpy as np
import pandas as pd
import pytest

from bnlab.records import files, recorded
from bnlab.records.packing import BIGGEST_FILE, BIGGEST_TEXT, pack, unpack
from bnlab.records.provenance import FIELDS
from bnlab.records.recorded import RecordedError

FRAME = pd.DataFrame(
    {
        "n": [1, 2, 3],
        "loss": [0.1 + 0.2, 1e-300, np.nan],
        "bound": [np.inf, -np.inf, -0.0],
        "norm": ["None", "NA", 'µ, "quoted"\nline'],
        "ok": [True, False, True],
    }
)
FACTS = {
    "key": "k" * 64,
    "chapter": "90",
    "scale": "full",
    "parameters": {"epochs": 3},
    "data": None,
    "sources": {"bnlab.a": "1" * 64},
    "arithmetic": {"device": "cpu"},
    "versions": {"bnlab": "0.1.0", "torch": "2.13.0"},
    "device": "a CPU",
    "cpu": "its model",
    "seconds": 1.3,
    "part_seconds": {"losses": 1.3},
    "commit": "0123",
    "units": {},
}


def refusal(function, *arguments, **more) -> str:
    with pytest.raises(RecordedError) as caught:
        function(*arguments, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def save(folder, table=FRAME, chapter="90", **more):
    return recorded.save(folder / chapter, {"losses": pack("losses", table)}, FACTS | more)


def test_a_table_comes_back_as_it_was(tmp_path):
    save(tmp_path, units={"losses": {"n": "steps", "loss": "1"}})
    result = recorded.load(tmp_path, "90")
    pd.testing.assert_frame_equal(result.tables["losses"], FRAME, check_exact=True)
    assert np.signbit(result.tables["losses"]["bound"][2])
    losses = result.tables["losses"]
    assert losses.attrs["units"] == {"n": "steps", "loss": "1"}
    assert losses[losses["n"] > 0].attrs["units"] is losses.attrs["units"]  # not copied in every operation


def test_a_provenance_is_the_facts_given_and_what_only_the_end_can_tell(tmp_path):
    folder = save(tmp_path, data={"title": "digits", "checksum": "abc"})
    assert folder == tmp_path / "90"
    facts = json.loads((folder / "provenance.json").read_text())
    assert facts.keys() == FIELDS.keys()
    assert facts.pop("finished").endswith("+00:00")
    assert facts.pop("tables") == {"losses": hashlib.sha256(table_file(folder).read_bytes()).hexdigest()}
    assert facts == {**FACTS, "data": {"title": "digits", "checksum": "abc"}}


def test_the_same_numbers_give_the_same_bytes():
    content = pack("losses", FRAME)
    assert pack("losses", FRAME.copy()) == content
    assert content[4:8] == b"\0\0\0\0"  # gzip's stamp of time
    assert gzip.decompress(content).decode().splitlines()[1] == "1,0.30000000000000004,inf,None,True"


def test_pack_refuses():
    assert "table losses is empty" in refusal(pack, "losses", FRAME.iloc[:0])
    noise = pd.DataFrame({"x": np.random.default_rng(0).random(120_000)})
    assert "takes 1" in refusal(pack, "big", noise)
    assert len(pack("small", noise[:100_000])) <= 1_000_000
    for name in ("a/b", "..", "a.b", "", "a b"):
        assert "needs a name of letters" in refusal(pack, name, FRAME)


@pytest.mark.parametrize(
    "column",
    [["04", "16"], ["1e3", "2e3"], ["4", "16"], ["0.5", "1.5"], ["True", "False"], ["x", 1], ["7", None], [1, "2"]],
)
def test_a_table_that_csv_would_alter_is_refused_before_it_is_lost(column):
    assert "would be read back altered" in refusal(pack, "t", pd.DataFrame({"a": [1, 2], "b": column}))


@pytest.mark.parametrize(
    "column",
    [["0x1", "1_0"], ["x", "1e3"], ["no", None], ["", "inf x"], [True, None], [1, 2.5], pd.Categorical(["a", "b"])],
)
def test_text_that_stays_text(column):
    assert pack("t", pd.DataFrame({"a": [1, 2], "b": column}))


def test_a_column_name_that_stands_twice_is_refused():
    assert "no column name twice" in refusal(pack, "t", pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_nothing_recorded_yet(tmp_path):
    assert recorded.load(tmp_path, "90") is None
    assert recorded.load(tmp_path / "nowhere", "90") is None


def test_a_first_recording_killed_before_its_provenance_does_not_count(tmp_path):
    folder = save(tmp_path)
    (folder / "provenance.json").unlink()
    assert recorded.load(tmp_path, "90") is None


def table_file(folder):
    (path,) = folder.glob("*.csv.gz")
    return path


def test_damage_is_named_with_the_remedy(tmp_path):
    path = table_file(save(tmp_path))
    whole = path.read_bytes()
    for damaged in (whole[:-10], b"", whole[:20] + b"\0" + whole[21:]):
        path.write_bytes(damaged)
        line = refusal(recorded.load, tmp_path, "90")
        assert f"{path} is not what was recorded (its checksum differs)" in line
        assert "restore it from version control or record again: bnlab record 90" in line
    path.unlink()
    assert f"{path} is missing: restore it" in refusal(recorded.load, tmp_path, "90")
    path.mkdir()
    assert f"{path} cannot be read (Is a directory): make it readable" in refusal(recorded.load, tmp_path, "90")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b"{}"])
def test_a_provenance_that_is_none_is_named_with_the_remedy(tmp_path, content):
    path = save(tmp_path) / "provenance.json"
    path.write_bytes(content)
    line = refusal(recorded.load, tmp_path, "90")
    assert line.startswith(f"{path} cannot be used (")
    assert "bnlab record 90" in line


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_of_a_provenance_is_needed(tmp_path, field):
    path = save(tmp_path) / "provenance.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in whole.items() if name != field}))
    assert f"({field} is missing or of a wrong type)" in refusal(recorded.load, tmp_path, "90")
    path.write_text(json.dumps(whole | {field: [1]}))
    assert f"({field} is missing or of a wrong type)" in refusal(recorded.load, tmp_path, "90")


@pytest.mark.parametrize(
    "change",
    [
        {"tables": {"losses": 3}},
        {"tables": {"losses": None}},
        {"versions": {}},
        {"part_commits": ["losses"]},
        {"part_commits": {"losses": 3}},
        {"part_commits": {"gains": "a" * 40}},
        {"part_seconds": {"losses": "long"}},
        {"part_seconds": {"losses": True}},
        {"units": {"losses": 3}},
        {"units": {"losses": {"loss": 3}}},
        {"versions": {"bnlab": "1", "torch": 2}},
        {"data": {}},
        {"data": {"title": "x", "checksum": 3}},
        {"data": {"title": "x", "checksum": "y", "others": 3}},
        {"data": {"title": "x", "checksum": "y", "others": {"vgg_dataset": {"title": "z"}}}},
    ],
)
def test_a_hostile_provenance_is_refused(tmp_path, change):
    path = save(tmp_path) / "provenance.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert "cannot be used" in refusal(recorded.load, tmp_path, "90")


@pytest.mark.parametrize(
    "content",
    [b"no gzip", *(gzip.compress(text, mtime=0) for text in (b"", b"\xff\xfe", b'a\n"b'))],
)
def test_a_file_with_the_right_checksum_may_still_be_no_table(tmp_path, content):
    folder = save(tmp_path)
    checksum = hashlib.sha256(content).hexdigest()
    path = folder / "provenance.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tables": {"losses": checksum}}))
    recorded.table_path(folder, "losses", checksum).write_bytes(content)
    assert "is not what was recorded (" in refusal(recorded.load, tmp_path, "90")


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "..", ""])
def test_a_hostile_name_reaches_no_other_folder(tmp_path, name):
    assert recorded.table_path(tmp_path, name, "../../x/../y").parent == tmp_path
    assert recorded.table_path(tmp_path, name, "a" * 64).parent == tmp_path


def test_recording_again_replaces_the_result_and_leaves_no_litter(tmp_path):
    folder = save(tmp_path)
    (folder / ".losses.0123.csv.gz.abc.part").write_bytes(b"left by a killed recording")
    (folder / "README.md").write_text("a person's own")
    save(tmp_path, FRAME.iloc[:2])
    assert len(recorded.load(tmp_path, "90").tables["losses"]) == 2
    assert sorted(path.name.partition(".")[0] for path in folder.iterdir()) == ["README", "losses", "provenance"]


@pytest.mark.parametrize("killed_at", [1, 2, 3])
def test_a_recording_killed_at_any_moment_leaves_the_earlier_result_whole(tmp_path, monkeypatch, killed_at):
    save(tmp_path)
    before = recorded.load(tmp_path, "90")
    replace, calls = os.replace, []

    def killed(*arguments):
        calls.append(arguments)
        if len(calls) == killed_at:
            raise KeyboardInterrupt
        replace(*arguments)

    packed = {name: pack(name, FRAME.iloc[:2]) for name in ("losses", "more")}
    monkeypatch.setattr(files.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        recorded.save(tmp_path / "90", packed, FACTS)
    after = recorded.load(tmp_path, "90")
    assert after.provenance == before.provenance
    pd.testing.assert_frame_equal(after.tables["losses"], FRAME)
    assert not list((tmp_path / "90").glob(".*"))


def test_a_process_killed_while_saving_leaves_one_result_or_the_other(tmp_path):
    program = """
    import sys, itertools, pandas as pd
    from pathlib import Path
    import json
    from bnlab.records import recorded
    from bnlab.records.packing import pack
    print("ready", flush=True)
    for n in itertools.count(1):
        table = pack("losses", pd.DataFrame({"n": [n] * 50}))
        recorded.save(Path(sys.argv[1]) / "90", {"losses": table}, json.loads(sys.argv[2]) | {"parameters": {"n": n}})
    """
    for wait in (0.01, 0.03, 0.05):
        arguments = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path), json.dumps(FACTS)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "ready\n"
            while not (tmp_path / "90" / "provenance.json").exists():
                time.sleep(0.005)
            time.sleep(wait)
            process.kill()
        result = recorded.load(tmp_path, "90")
        assert set(result.tables["losses"]["n"]) == {result.provenance["parameters"]["n"]}


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    assert f"{tmp_path / 'file' / '90'} cannot be written (Not a directory)" in refusal(save, tmp_path / "file")
    (tmp_path / "90").touch()
    assert "cannot be written (File exists): name a folder that can be." in refusal(save, tmp_path)


def test_a_full_disk_leaves_the_earlier_result_whole(tmp_path, monkeypatch):
    save(tmp_path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    assert "No space left on device" in refusal(save, tmp_path, FRAME.iloc[:1])
    assert len(recorded.load(tmp_path, "90").tables["losses"]) == 3


def test_write_atomically_replaces_and_can_be_read_by_others(tmp_path):
    path = tmp_path / "x"
    files.write_atomically(path, b"one")
    files.write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_small_file_that_unpacks_to_anything_is_not_unpacked(tmp_path):
    bomb = gzip.compress(b"x\n" + b"1\n" * (BIGGEST_TEXT // 2), mtime=0)
    assert len(bomb) < BIGGEST_FILE
    with pytest.raises(ValueError, match="unpacks to more than"):
        unpack(bomb)
    folder = save(tmp_path)
    checksum = hashlib.sha256(bomb).hexdigest()
    recorded.table_path(folder, "losses", checksum).write_bytes(bomb)
    facts = json.loads((folder / "provenance.json").read_text())
    (folder / "provenance.json").write_text(json.dumps(facts | {"tables": {"losses": checksum}}))
    assert "is not what was recorded (it unpacks to more than" in refusal(recorded.load, tmp_path, "90")


def test_a_file_of_any_size_is_not_read_whole(tmp_path):
    folder = save(tmp_path)
    with table_file(folder).open("r+b") as file:
        file.truncate(10**12)  # of holes
    assert f"it has more than {BIGGEST_FILE} bytes" in refusal(recorded.load, tmp_path, "90")
    with (folder / "provenance.json").open("r+b") as file:
        file.truncate(10**12)
    assert "provenance.json cannot be used (it has more than" in refusal(recorded.load, tmp_path, "90")


def test_gzip_with_something_behind_it_is_no_table():
    content = pack("losses", FRAME)
    for other in (content + b"x", content + content, content[:-1], b"x" + content, b""):
        with pytest.raises(ValueError, match=r"cut, or followed|incorrect|Error"):
            unpack(other)


def test_what_cannot_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    path = save(tmp_path) / "provenance.json"
    path.unlink()
    path.mkdir()
    with pytest.raises(recorded.UnreadableError, match=r"provenance.json cannot be read \(Is a directory\)"):
        recorded.load(tmp_path, "90")


@pytest.mark.parametrize("change", [{"scale": "half"}, {"sources": {"bnlab.a": 3}}, {"seconds": True}])
def test_facts_that_no_page_could_show_are_refused(tmp_path, change):
    path = save(tmp_path) / "provenance.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert "cannot be used" in refusal(recorded.load, tmp_path, "90")


def test_uncommitted_code_has_no_sources(tmp_path):
    save(tmp_path, sources=None)
    assert recorded.load(tmp_path, "90").provenance["sources"] is None


def test_a_lock_is_held_by_one_and_given_back(tmp_path):
    place = tmp_path / "a" / "b.lock"
    told = rf"b is written by another process \({os.getpid()}\): wait"
    with (
        files.locked(place, "b is written"),
        pytest.raises(files.LockedError, match=told),
        files.locked(place, "b is written"),
    ):
        pass
    with files.locked(place, "b is written"):
        pass


def test_a_lock_dies_with_its_process(tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from bnlab.records.files import locked\n"
        "with locked(Path(sys.argv[1]), 'x'): print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(files.LockedError, match=str(process.pid)), files.locked(tmp_path / "lock", "x"):
            pass
        process.kill()
    with files.locked(tmp_path / "lock", "x"):
        pass
