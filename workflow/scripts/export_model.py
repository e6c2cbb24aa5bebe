"""Export a selected model as a folder that answers without torch."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.settings import jobs
from ligero.settings.program import check_digest, job_arguments, load_resolved
from ligero.settings.study import REGIMES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--regime", required=True, choices=REGIMES)
    parser.add_argument("--model", required=True, help="id of the model or student")
    parser.add_argument("--task", required=True, help="id of the task")
    parser.add_argument("--selection", type=Path, required=True, help="R/selection/REGIME/MODEL/TASK.json")
    parser.add_argument("--model-dir", type=Path, required=True, help="R/models/REGIME/MODEL/TASK")
    parser.add_argument("--encoded-dir", type=Path, required=True, help="R/encoded/TOKENIZER/TASK")
    parser.add_argument("--examples-dir", type=Path, required=True, help="R/tasks/TASK")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--threads", type=int, default=1, help="of passes over splits; times are taken with one thread"
    )
    args = parser.parse_args()
    job = jobs.export_job(load_resolved(args.config), args.regime, args.model, args.task)
    check_digest(job, args.expect)

    import torch

    from ligero.export import export_model
    from ligero.training.selection import check_selected

    torch.set_num_threads(args.threads)
    check_selected(args.selection, args.model_dir)
    manifest = export_model(
        job,
        model_dir=args.model_dir,
        encoded_dir=args.encoded_dir,
        examples_dir=args.examples_dir,
        out=args.out,
        threads=args.threads,
    )
    sizes = ", ".join(f"{name} {graph.bytes:,} bytes" for name, graph in manifest.graphs.items())
    print(
        f"{args.model} on {args.task}: {sizes}; logits differ by at most {manifest.parity['largest_difference']:.1e}"
    )
    print(f"int8: {manifest.int8}")


if __name__ == "__main__":
    run_program(main)
