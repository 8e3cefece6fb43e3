"""Chapter 04, natural modes."""
