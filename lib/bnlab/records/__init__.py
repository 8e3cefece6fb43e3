"""Recorded results, and what names a number."""
