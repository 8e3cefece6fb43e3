"""Chapter 06, speed and stability."""
