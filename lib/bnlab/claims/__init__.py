"""The ledger of claims, verdicts on them, statistics for few seeds, and what a page displays of them."""
