"""From a mirror to the disk so that no later run can trust half a file.

An archive arrives in a staging folder, is verified and unpacked there, each member is verified again, and only then are
the files moved into place. A killed or cut download is started anew. torchvision's own downloader writes to the final
name and waits without limit on a silent server: only its addresses and checksums are used.
"""

import gzip
import http.client
import shutil
import sys
import tarfile
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bnlab.datasets.base import OFFLINE, DatasetError
from bnlab.datasets.integrity import CHUNK, matches
from bnlab.datasets.staging import publish, sole_writer, staging_folder

SILENCE = 30  # seconds without a byte after which a mirror is given up
PATIENCE = 3600  # seconds to wait for another process that is downloading
LARGEST = 1 << 29  # bytes; CIFAR-10, the largest archive, has 170 million


@dataclass(frozen=True)
class Archive:
    """A file to download and what it unpacks to.

    `members` are paths below `folder`; `check` raises DatasetError for a member that is not what it ought to be; `keep`
    puts the archive itself into `folder` as well.
    """

    filename: str
    md5: str
    urls: tuple[str, ...]
    folder: Path
    members: tuple[str, ...]
    check: Callable[[Path], None]
    keep: bool

    def missing(self) -> list[Path]:
        """The files that ought to lie in the folder and do not."""
        names = (*self.members, self.filename) if self.keep else self.members
        return [self.folder / name for name in names if not (self.folder / name).exists()]


class _UnreachableError(Exception):
    """A mirror that does not give the file; kept apart from errors of the local disk, whose remedy differs."""


def provide(archives: list[Archive], root: Path, download: bool) -> None:
    """Bring the missing files of the archives into place; files that are there are left alone, good or bad.

    Raises DatasetError if a file is missing and `download` is False, no mirror gives it, or the root cannot be used.
    """
    try:
        wanting = [archive for archive in archives if archive.missing()]
        if not wanting:
            return
        for archive in wanting:
            if not download and not matches(archive.folder / archive.filename, archive.md5, "md5"):
                raise DatasetError(
                    f"{str(archive.missing()[0])!r} is missing: load with download=True, copy {archive.filename} into "
                    f"{str(archive.folder)!r}, name a folder that has it with root=... or BNLAB_DATA, or use {OFFLINE}"
                )
        with sole_writer(root, PATIENCE):
            for archive in wanting:
                if archive.missing():  # another process may have brought it while this one waited
                    _bring(archive, root)
    except OSError as error:
        raise DatasetError(
            f"{str(root)!r} cannot be used ({error.strerror or error}): free or unlock it, name another folder with "
            f"root=... or BNLAB_DATA, or use {OFFLINE}"
        ) from error


def _bring(archive: Archive, root: Path) -> None:
    with staging_folder(root) as folder:
        incoming = Path(folder)
        at_hand = archive.folder / archive.filename  # copied there by hand, or left by torchvision
        if matches(at_hand, archive.md5, "md5"):
            shutil.copyfile(at_hand, incoming / archive.filename)
        else:
            _download(archive, incoming / archive.filename)
        _unpack(archive, incoming)
        for name in archive.members:
            archive.check(incoming / name)
        if archive.keep:  # first, for it may vouch for its members
            publish(incoming / archive.filename, at_hand)
        for name in archive.members:
            if not (archive.folder / name).exists():
                publish(incoming / name, archive.folder / name)


def _download(archive: Archive, target: Path) -> None:
    failures = []
    for url in archive.urls:
        print(f"downloading {url}", file=sys.stderr)
        try:
            with target.open("wb") as file:
                for chunk in _bytes_of(url):
                    file.write(chunk)
        except _UnreachableError as error:
            failures.append(f"{url}: {error}")
            continue
        if matches(target, archive.md5, "md5"):
            return
        failures.append(f"{url}: the {target.stat().st_size} bytes that arrived are cut short or damaged, by their md5")
    raise DatasetError(
        f"{archive.filename} cannot be downloaded ({'; '.join(failures)}): check the network and load again, copy the "
        f"file into {str(archive.folder)!r}, or use {OFFLINE}"
    )


def _bytes_of(url: str) -> Iterator[bytes]:
    received = 0
    try:
        # The addresses are torchvision's, and what they send is read only after its md5 was found right.
        request = urllib.request.Request(url, headers={"User-Agent": "bnlab"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=SILENCE) as response:  # noqa: S310
            while chunk := response.read(CHUNK):
                received += len(chunk)
                if received > LARGEST:
                    raise _UnreachableError(f"more than {LARGEST} bytes arrived")
                yield chunk
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _UnreachableError(" ".join(str(error).split()) or type(error).__name__) from error


def _unpack(archive: Archive, incoming: Path) -> None:
    """Copy each member to its place below `incoming`; a path that only the archive names is never written to."""
    source = incoming / archive.filename
    try:
        if source.name.endswith(".tar.gz"):
            with tarfile.open(source, "r:gz") as tar:
                for name in archive.members:
                    _copy(tar.extractfile(name), incoming / name)
        else:
            (name,) = archive.members
            with gzip.open(source) as unpacked:
                _copy(unpacked, incoming / name)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, KeyError, zlib.error) as error:
        raise DatasetError(f"{archive.filename} does not unpack to {', '.join(archive.members)} ({error})") from error


def _copy(source, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        shutil.copyfileobj(source, file, CHUNK)
