"""Importing this makes the library importable for a program that is run from a plain checkout, outside the workflow."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
