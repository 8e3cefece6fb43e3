"""Networks, each built from one description of its normalisation (`norms`) and one generator."""
