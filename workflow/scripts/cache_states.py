"""Run the teacher of a model's pretraining once over a part of the corpus and keep its states."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.corpus.statistics import check_cleaned
from ligero.settings import jobs
from ligero.settings.program import check_digest, job_arguments, load_resolved


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--model", required=True, help="id of the model that learns from them")
    parser.add_argument("--corpus-dir", type=Path, required=True, help="folder of the cleaned text")
    parser.add_argument(
        "--store", type=Path, required=True, help="store.json of the corpus in the model's tokens"
    )
    parser.add_argument(
        "--encoder", type=Path, required=True, help="fast_tokenizer.json of the model's tokenizer"
    )
    parser.add_argument("--teacher-dir", type=Path, required=True, help="folder of the teacher's weights")
    parser.add_argument(
        "--teacher-encoder", type=Path, required=True, help="fast_tokenizer.json of its tokenizer"
    )
    parser.add_argument("--out", type=Path, required=True, help="R/states/MODEL")
    parser.add_argument("--state-dir", type=Path, required=True, help="folder of finished parts")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    job = jobs.states_job(load_resolved(args.config), args.model)
    check_digest(job, args.expect)

    from ligero.models.processor import use_processor
    from ligero.pretraining.state_caching import Sources, cache_states

    use_processor(args.threads)
    for split in ("train", "validation"):
        check_cleaned(args.corpus_dir / f"{split}.txt.zst")
    sources = Sources(
        corpus=args.corpus_dir,
        store=args.store.parent,
        tokenizer=args.encoder.parent,
        teacher=args.teacher_dir,
        teacher_tokenizer=args.teacher_encoder.parent,
    )
    info = cache_states(job, sources, args.out, args.state_dir)
    size = sum(path.stat().st_size for path in args.out.iterdir()) / 1e6
    print(
        f"{args.model}: states of {job.teacher} for {info.spans['train']:,} spans of {info.tokens['train']:,} tokens, {size:,.0f} MB; "
        f"{info.kept_variance:.0%} of their variance in {info.dimensions} dimensions; {info.teacher_tokens / max(info.seconds, 1e-9):,.0f} "
        "of the teacher's tokens a second",
        file=sys.stderr,
    )
    shutil.rmtree(args.state_dir, ignore_errors=True)


if __name__ == "__main__":
    run_program(main)
