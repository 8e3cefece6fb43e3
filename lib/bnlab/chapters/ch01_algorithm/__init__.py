"""Chapter 01, algorithm."""
