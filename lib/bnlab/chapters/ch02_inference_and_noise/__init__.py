"""Chapter 02, inference and noise."""
