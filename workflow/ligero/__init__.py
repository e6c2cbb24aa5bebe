"""Ligero: light and fast language models, from raw text to tables."""

__version__ = "0.1.0"
