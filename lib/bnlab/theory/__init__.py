"""Mathematics on tensors: filters, natural modes, spectra, random matrices. Knows torch, numpy and scipy only."""
