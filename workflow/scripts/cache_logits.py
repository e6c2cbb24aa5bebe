"""Run a task's teacher once over the training split and keep its logits."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path

from ligero.common.errors import run_program
from ligero.common.files import read_json
from ligero.settings import jobs
from ligero.settings.program import check_digest, load_resolved
from ligero.settings.training import TrainingOptions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, type=Path, help="resolved configuration")
    parser.add_argument("--task", required=True, help="id of the task")
    parser.add_argument("--teacher", required=True, type=Path, help="R/teachers/TASK.json")
    parser.add_argument("--models-dir", required=True, type=Path, help="R/models/fine-tuning")
    parser.add_argument("--encoded-root", required=True, type=Path, help="R/encoded")
    parser.add_argument("--out", required=True, type=Path, help="R/logits/TASK")
    parser.add_argument(
        "--state-dir", type=Path, help="folder of finished parts (default: R/state/logits/TASK)"
    )
    parser.add_argument(
        "--shard", type=_shard, help="K/N: only compute every N-th part from the K-th on, write no cache"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--expect", help="digest of the logits' settings, as planned")
    args = parser.parse_args()

    job = jobs.logits_job(load_resolved(args.config), args.task)
    check_digest(job, args.expect)
    chosen = read_json(args.teacher)
    folder = args.models_dir / chosen["teacher"] / args.task
    encoded = args.encoded_root / chosen["vocabulary"] / args.task
    state = args.state_dir or args.out.parent.parent / "state" / "logits" / args.task

    import torch

    from ligero.distillation.cache import fingerprint_of
    from ligero.distillation.caching import assemble, compute_parts
    from ligero.distillation.fingerprints import teacher_fingerprints
    from ligero.models.heads import load_selected
    from ligero.training.data import EncodedSplit
    from ligero.training.steps import training_device

    torch.set_num_threads(args.threads)
    split = EncodedSplit.load(
        encoded / "train.parquet", job.task_type, TrainingOptions(max_words=job.max_words)
    )
    fingerprints = teacher_fingerprints(folder, job.task_type, job.labels, split, encoded)
    fingerprints |= {"dtype": job.dtype, "precision": job.precision}
    parts = compute_parts(
        load_selected(folder, job.task_type).to(training_device()),
        split,
        state,
        fingerprint_of(fingerprints),
        dtype=job.dtype,
        precision=job.precision,
        max_features=job.micro_batch_size,
        shard=args.shard or (0, 1),
    )
    if args.shard is not None:
        return
    meta = {
        "task": args.task,
        "teacher": chosen["teacher"],
        "folder": str(folder),
        "fingerprints": fingerprints,
    }
    cache = assemble(parts, args.out, split, meta)
    shutil.rmtree(state, ignore_errors=True)
    print(f"{args.task}: logits of {chosen['teacher']} for {len(cache.layout):,} features", file=sys.stderr)


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or int(match[1]) >= int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is not K/N with K < N, e.g. 0/4")
    return int(match[1]), int(match[2])


if __name__ == "__main__":
    run_program(main)
