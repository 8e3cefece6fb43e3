"""Chapter 07, minimum disturbance."""
