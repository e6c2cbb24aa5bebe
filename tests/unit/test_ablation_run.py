"""One run of an ablation, from real folders: its record, and what it leaves on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ligero.common.records import read_record
from ligero.distillation.ablation import run_method
from ligero.settings.jobs import AblationJob, ShardJob
from ligero.settings.training import TrainingOptions
from tests.builders.encoding import task
from tests.builders.kill_programs import ARCHITECTURE, KIND, TRIALS, prepare_grid


def test_a_scored_run_keeps_its_record_and_no_weights(tmp_path: Path) -> None:
    prepare_grid(tmp_path)
    shard = ShardJob(
        regime="fine-tuning",
        model_id="m",
        architecture=ARCHITECTURE,
        num_hidden_layers=None,
        trials=TRIALS[:1],
        tasks={"t": task(KIND)},
        options=TrainingOptions(),
        distillation=None,
    )

    def run() -> dict[str, Any]:
        return run_method(
            AblationJob(method="fine-tuned", shard=shard),
            weights=tmp_path / "weights",
            encoded_dir=tmp_path / "encoded",
            examples_dir=tmp_path / "tasks",
            logits_dir=tmp_path / "logits",
            teachers_dir=tmp_path / "models",
            state_dir=tmp_path / "state",
            predictions_dir=tmp_path / "predictions",
            out=tmp_path / "seed-42.json",
        )

    record = run()
    assert read_record(tmp_path / "seed-42.json") == record
    assert record["settings"]["options"]["seed"] == 42
    kept = (tmp_path / "state" / "t" / TRIALS[0].id).iterdir()
    assert {path.name for path in kept} == {"result.json", "run.lock"}
    again = run()  # trained once more, with the same outcome
    assert [again[key] for key in ("best", "score", "units")] == [
        record[key] for key in ("best", "score", "units")
    ]
