"""Fill the masks of a text with a pretrained model; with a token store also its accuracy on held-out text."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import _library  # noqa: F401
from ligero.common.errors import run_program


def printed(result: dict[str, Any]) -> str:
    """The result as a table."""
    lines = []
    for entry in result["candidates"]:
        lines.append(
            f"{entry['mask']:4}  {100 * entry['probability']:6.2f} %  {entry['token']:16}  {entry['text']}"
        )
    if lines:
        lines.insert(0, f"{'mask':4}  {'share':>8}  {'token':16}  text")
    if accuracy := result.get("held_out"):
        lines.append(
            f"held-out text, {accuracy['tokens']:,} masked tokens: {100 * accuracy['model']:.2f} % right; always the most "
            f"frequent token: {100 * accuracy['unigram']:.2f} %; chance: {100 * accuracy['chance']:.3f} %"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="model folder: RESULTS/pretrained/MODEL")
    parser.add_argument(
        "--text", action="append", default=[], help="text with one [MASK] or more; may be repeated"
    )
    parser.add_argument("--top", type=int, default=5, help="how many subwords for each mask")
    parser.add_argument("--tokens", type=Path, help="token store, for the accuracy: RESULTS/tokens/TOKENIZER")
    parser.add_argument("--rows", type=int, default=256, help="most rows of held-out text")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args = parser.parse_args()
    if not args.text and args.tokens is None:
        parser.error("give --text, --tokens or both")
    if args.top < 1 or args.rows < 1:
        parser.error("--top and --rows must be at least 1")

    import torch

    from ligero.pretraining.fill_mask import MaskFiller

    torch.set_num_threads(args.threads)
    filler = MaskFiller(args.model)
    candidates = [asdict(candidate) for text in args.text for candidate in filler.fill(text, args.top)]
    result: dict[str, Any] = {"candidates": candidates}
    if args.tokens is not None:
        result["held_out"] = asdict(filler.held_out_accuracy(args.tokens, args.rows))
    print(json.dumps(result, ensure_ascii=False, indent=2) if args.json else printed(result))


if __name__ == "__main__":
    run_program(main)
