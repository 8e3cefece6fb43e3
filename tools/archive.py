"""Pack the built pages into one file that opens without a network, and say how large it is.

    python tools/archive.py

Unpack it anywhere and open book/index.html.
"""

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main(root: Path = ROOT) -> int:
    """Write _build/bn-lab-pages.zip; return the exit status."""
    pages = root / "_build" / "html"
    if not (pages / "book" / "index.html").is_file():
        print(f"{pages} holds no book: run make book.", file=sys.stderr)
        return 2
    partial = root / "_build" / "bn-lab-pages.part"
    made = Path(shutil.make_archive(str(partial), "zip", pages))
    target = made.replace(root / "_build" / "bn-lab-pages.zip")
    unpacked = sum(path.stat().st_size for path in pages.rglob("*") if path.is_file())
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB, unpacked {unpacked / 1e6:.1f} MB.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
