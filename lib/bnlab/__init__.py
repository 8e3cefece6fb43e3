"""The BN Lab's library: what the chapters of the book import. Importing it defines names and does nothing else."""

__version__ = "0.1.0"
