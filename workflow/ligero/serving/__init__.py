"""Answers from an exported model with onnxruntime and tokenizers alone: neither torch nor transformers nor pandas is imported."""
