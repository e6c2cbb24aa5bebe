"""Tasks: readers of the published formats, splits, metrics, answers."""
