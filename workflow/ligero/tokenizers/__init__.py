"""Vocabularies: training, what a saved tokenizer really does (encoder.json), encoding, quality."""
