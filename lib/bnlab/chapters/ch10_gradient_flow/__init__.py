"""Chapter 10, gradient flow."""
