"""Chapter 11, length and direction."""
