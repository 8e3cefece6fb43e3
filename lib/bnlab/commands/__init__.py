"""The ``bnlab`` command, and the checks behind it."""
