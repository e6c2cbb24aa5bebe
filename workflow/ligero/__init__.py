"""Ligero: light and fast language models, from raw text to tables."""

import os

__version__ = "0.1.0"

# From 1.32 on onnxruntime reports its use over the network unless this is set before it is imported. Here nothing is reported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
