"""From a model's logits to a task's metrics, with the examples that hold the gold answers."""
