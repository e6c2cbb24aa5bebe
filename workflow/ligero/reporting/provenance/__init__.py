"""Where a printed number comes from: its chain back to source files, and the number once more from stored predictions."""
