"""Files of weights."""

from __future__ import annotations

import json
import struct


def weights_file(name: str) -> bytes:
    """A safetensors file of 2 x 3 + 4 values, and whose it is."""
    tensors = {
        "a": {"dtype": "U8", "shape": [2, 3], "data_offsets": [0, 6]},
        "b": {"dtype": "U8", "shape": [4], "data_offsets": [6, 10]},
    }
    header = json.dumps({"__metadata__": {"name": name}, **tensors}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(10)
