"""Experiments of the chapters: parameters -> tidy tables, no drawing."""
