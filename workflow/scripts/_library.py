"""Importing this makes the library importable for a program that is run from a plain checkout, outside the workflow."""

import gc
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

# Importing torch and transformers makes a million objects that all stay: looking for garbage among them at every 700 new ones
# takes a fifth of a program's start.
gc.set_threshold(100_000, 50, 50)
