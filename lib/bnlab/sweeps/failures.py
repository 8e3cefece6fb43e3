"""What can go wrong with a sweep as a whole, and the refusal of a table with holes."""

import pandas as pd


class SweepError(ValueError):
    """A grid that cannot be swept. Its text is one clear line."""


class FailedRunsError(SweepError):
    """Runs of a sweep failed whose result must have no holes. Its text is one line that names the points."""


def refuse_failures(table: pd.DataFrame) -> pd.DataFrame:
    """Give a sweep's table back if every run of it is there.

    Raises:
        FailedRunsError: one line with the points that failed, and why the first did.
    """
    failed = table[table["status"] != "ok"]
    if failed.empty:
        return table
    points = failed.iloc[:5, : list(table.columns).index("status")].to_dict("records")
    told = ["(" + ", ".join(f"{name} = {value}" for name, value in point.items()) + ")" for point in points]
    more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
    raise FailedRunsError(
        f"{len(failed)} of the runs failed: {', '.join(told)}{more}; the first {failed['status'].iloc[0]}. "
        "What was finished is kept: run it again once the cause is mended."
    )
