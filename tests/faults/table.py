"""The table of docs/reliability.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tests.faults.injections import KINDS, OUTCOMES, Fault

BEGIN, END = "<!-- written by `python -m tests.faults --page` -->", "<!-- end -->"


def as_table(faults: Iterable[Fault]) -> str:
    """Faults by kind and outcome, in Markdown."""
    counts = Counter((fault.kind, fault.outcome) for fault in faults)
    rows = [["kind", "what happens", "faults", *OUTCOMES]]
    for kind, function in KINDS.items():
        found = [counts[kind, outcome] for outcome in OUTCOMES]
        if sum(found):
            rows.append(
                [f"`{kind}`", (function.__doc__ or "").split(".")[0], str(sum(found)), *map(str, found)]
            )
    totals = [sum(counts[kind, outcome] for kind in KINDS) for outcome in OUTCOMES]
    rows.append(["all", "", str(sum(totals)), *map(str, totals)])
    rows.insert(1, ["---"] * len(rows[0]))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
