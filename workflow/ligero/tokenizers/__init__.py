"""Vocabularies: training, what a saved tokenizer really does (fast_tokenizer.json), encoding, quality."""
