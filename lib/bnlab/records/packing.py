"""A tidy table as it is kept: CSV, gzip; the same numbers give the same bytes, and come back to the bit."""

import gzip
import io
import zlib

import pandas as pd

BIGGEST_FILE = 1_000_000  # bytes: the files are committed
BIGGEST_TEXT = 64_000_000  # bytes of CSV: a small file may unpack to anything


class RecordedError(RuntimeError):
    """A recorded result that is missing, damaged, or too large to commit. Its text is one clear line."""


def pack(name: str, table: pd.DataFrame) -> bytes:
    """Compress a tidy table as it is stored: CSV, gzip; the same numbers give the same bytes.

    Raises:
        RecordedError: the table's name is no identifier, it is empty, larger than 1 MB compressed, or CSV alters it.
    """
    if not name.isidentifier():
        raise RecordedError(f"table {name!r} needs a name of letters, digits and underscores: it becomes a file name.")
    if table.empty:
        raise RecordedError(f"table {name} is empty: a recorded table has at least one row.")
    text = table.to_csv(index=False, lineterminator="\n")
    back = _read_csv(text.encode())
    if back.to_csv(index=False, lineterminator="\n") != text or not _same_kinds(table, back):
        raise RecordedError(f"table {name} would be read back altered: no text that is a number, no column name twice.")
    # mtime=0: a repeated recording is then no change to commit.
    content = gzip.compress(text.encode(), mtime=0)
    if len(content) > BIGGEST_FILE:
        raise RecordedError(f"table {name} takes {len(content)} bytes: thin it to at most {BIGGEST_FILE}.")
    if len(text) > BIGGEST_TEXT:
        raise RecordedError(f"table {name} takes {len(text)} bytes as text: thin it to at most {BIGGEST_TEXT}.")
    return content


def unpack(content: bytes) -> pd.DataFrame:
    """Read back what `pack` wrote, every float64 to the bit.

    Raises:
        ValueError: it is something else, or unpacks to more than 64 MB.
    """
    stream = zlib.decompressobj(wbits=31)  # gzip
    try:
        text = stream.decompress(content, BIGGEST_TEXT + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(text) > BIGGEST_TEXT:
        raise ValueError(f"it unpacks to more than {BIGGEST_TEXT} bytes")
    if not stream.eof or stream.unused_data:
        raise ValueError("it is cut, or followed by something else")
    return _read_csv(text)


def _same_kinds(table: pd.DataFrame, back: pd.DataFrame) -> bool:
    """Tell whether texts came back as texts, truth values as truth values and numbers as numbers."""
    return all(
        _kind(one) == _kind(other)
        for place in range(table.shape[1])
        if table.dtypes.iloc[place].kind not in "iuf"  # these are written as numbers, and read as such
        for one, other in zip(table.iloc[:, place], back.iloc[:, place], strict=True)
        if not pd.isna(one) and one != ""  # an empty text is a missing one
    )


def _kind(value: object) -> str:
    if isinstance(value, str):
        return "text"
    return "truth" if str(value) in ("True", "False") else "number"


def _read_csv(text: bytes) -> pd.DataFrame:
    # Before pandas 3.1 the default parser rounds; since then it does not, and asking for exactness is deprecated.
    exact = {} if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else {"float_precision": "round_trip"}
    # Only an empty field is missing: "None" and "NA" are names that a table may hold.
    return pd.read_csv(io.BytesIO(text), keep_default_na=False, na_values=[""], **exact)
