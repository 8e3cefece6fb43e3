"""One training run, and many as one batched computation."""
