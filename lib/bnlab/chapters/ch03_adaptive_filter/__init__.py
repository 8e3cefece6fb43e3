"""Chapter 03, adaptive filter."""
