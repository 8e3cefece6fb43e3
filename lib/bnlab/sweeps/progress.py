"""How far a sweep is: one line on standard error, rewritten."""

import sys
import time
from contextlib import suppress


class Progress:
    """Done of all, failed, and about how long is left."""

    def __init__(self, total: int, kept: int, shown: bool):
        self.total, self.kept, self.shown = total, kept, shown
        self.finished, self.failures, self.started = kept, 0, time.perf_counter()

    def done(self, *, failed: bool) -> None:
        """Count one more run, and say so."""
        self.finished += 1
        self.failures += failed
        if not self.shown:
            return
        each = (time.perf_counter() - self.started) / max(self.finished - self.kept, 1)
        left = each * max(self.total - self.finished, 0)
        words = f"{self.finished}/{self.total} runs, {self.failures} failed, about {left / 60:.1f} min left"
        with suppress(OSError):  # hours of runs do not end because nobody reads any more
            print(f"\r{words:<70}", end="\n" if self.finished == self.total else "", file=sys.stderr, flush=True)
