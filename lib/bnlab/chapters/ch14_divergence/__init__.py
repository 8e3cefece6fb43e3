"""Chapter 14, divergence."""
