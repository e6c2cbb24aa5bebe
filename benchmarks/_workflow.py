"""Importing this makes the library importable for a benchmark that is run from a plain checkout."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))
