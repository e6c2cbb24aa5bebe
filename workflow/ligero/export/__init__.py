"""Selected models as folders that answer without torch: ONNX graphs in fp32 and int8, tokenizer, manifest."""

from ligero.export.model import export_model

__all__ = ["export_model"]
