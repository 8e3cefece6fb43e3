"""Chapter 15, gradients and activations at initialisation."""
