"""`ligero verify`: everything in a results folder compared with the digests that were recorded when it was made."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from ligero.command.systems import open_results
from ligero.reporting.artefact_digests import verify_results


def run(args: argparse.Namespace) -> int:
    """Print what was compared and what differs; 1 where anything does."""
    results = open_results(args.results)
    found = verify_results(Path(results.layout.root), results.study)
    if args.json:
        findings = [{**asdict(one), "path": str(one.path)} for one in found.findings]
        print(json.dumps({"checked": found.checked, "findings": findings}, ensure_ascii=False))
        return int(bool(found.findings))
    for one in found.findings:
        print(f"{one.kind}: {one.path}: {one.problem} {one.remedy}".rstrip())
    counts = ", ".join(f"{count:,} of kind {kind}" for kind, count in found.checked.items()) or "nothing"
    print(f"compared: {counts}; {len(found.findings) or 'none'} of them differ")
    return int(bool(found.findings))
