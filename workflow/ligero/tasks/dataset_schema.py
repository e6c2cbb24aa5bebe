"""What the library `datasets` reads out of our Parquet files: the type and the label names of each column, kept in the files' schema.

`datasets.load_dataset("parquet", data_files=...)` then gives `ClassLabel` and `List` features. The library itself, which takes a
second to import, is not needed to write them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import pyarrow

_KEY = b"huggingface"

Feature: TypeAlias = "dict[str, str | list[str] | Feature]"
"""The type of a column as `datasets` writes it: of a value, of labels, of the values of a list, or of the fields of a structure."""


def with_features(schema: pyarrow.Schema, labels: Mapping[str, Sequence[str]]) -> pyarrow.Schema:
    """The schema with the features of its columns as metadata; labels are 64-bit integers, as `ClassLabel` wants them.

    Args:
        labels: column -> names of its labels, in the order of their numbers.
    """
    import pyarrow as pa

    for name in labels.keys() & set(schema.names):
        place = schema.get_field_index(name)
        kind = pa.list_(pa.int64()) if pa.types.is_list(schema.field(place).type) else pa.int64()
        schema = schema.set(place, pa.field(name, kind))
    features = {field.name: _feature(field.type, labels.get(field.name)) for field in schema}
    described = json.dumps({"info": {"features": features}}, ensure_ascii=False)
    return schema.with_metadata({**(schema.metadata or {}), _KEY: described.encode()})


def _feature(kind: pyarrow.DataType, labels: Sequence[str] | None) -> Feature:
    import pyarrow as pa

    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type, labels), "_type": "List"}
    if pa.types.is_struct(kind):
        return {
            kind.field(place).name: _feature(kind.field(place).type, None) for place in range(kind.num_fields)
        }
    if labels:
        return {"names": list(labels), "_type": "ClassLabel"}
    return {"dtype": str(kind), "_type": "Value"}
