"""Layers written out from the documents' formulas; they know tensors, and no network."""
