"""What one looks at in a network: probes, gradients, kernels, preconditioning."""
