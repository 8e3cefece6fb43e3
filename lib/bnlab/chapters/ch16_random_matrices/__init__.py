"""Chapter 16, random matrices."""
