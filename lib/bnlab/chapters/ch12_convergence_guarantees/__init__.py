"""Chapter 12, convergence guarantees."""
