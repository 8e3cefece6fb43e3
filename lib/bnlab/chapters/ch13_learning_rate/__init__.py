"""Chapter 13, learning rate and generalisation."""
