"""Learning-rate schedules as factors of the step, so that nothing needs saving."""

from __future__ import annotations


def linear_warmup_decay(step: int, warmup_steps: int, total_steps: int) -> float:
    """Factor on the peak learning rate at 0-based `step`: up in a line over `warmup_steps`, then down to 0 at the end.

    The first step of a warm-up has the factor 1 / warmup_steps: a step with rate 0 would be wasted. BERT's and ALBERT's code
    begins the decay's line at step 0, so that the rate falls at the end of the warm-up from the peak to the factor
    1 - warmup_steps / total_steps; ours begins it there, higher by the factor total_steps / (total_steps - warmup_steps).
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return max(0.0, (total_steps - step) / max(1, total_steps - warmup_steps))
