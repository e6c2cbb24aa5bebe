"""Measure what early exit saves, one text at a time; writes a CSV.

On generated text with an encoder from scratch, and, given the weights of a real ALBERT, on real text: which of six sources a sentence is from.
The study is benchmarks/early_exit.yaml. It stays beside the CSV, and what is done is not repeated.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import _workflow  # noqa: F401
from _measurements import number, write_measurements
from early_exit_data import GENERATED, GENRES, PER_LABEL, generated_texts, genre_texts, write_splits
from early_exit_systems import COLUMNS, measure
from ligero.command.project import run_workflow, snakemake_line
from ligero.common.errors import ConfigurationError, run_program
from ligero.common.files import read_json, write_json, write_text
from ligero.settings.defaults import checkpoint_architecture
from ligero.settings.yaml_files import read_yaml

CONFIGURATION = Path(__file__).with_name("early_exit.yaml")
TARGETS = ("exports/summary", "tables/text_classification", "tables/tradeoff")
GRID = {"batch_size": [16], "epochs": [4], "learning_rate": ["5e-4"]}
OPTIONS = {"max_length": 128, "precision": "auto", "warmup_ratio": 0.1}
"""Of real weights; those in the configuration are for narrow models from scratch."""
PROJECT = Path(__file__).resolve().parents[1]
TEST_TEXTS = min(GENERATED["test"], PER_LABEL["test"] * len(GENRES))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    parser.add_argument("--weights", type=Path, help="folder of a pretrained ALBERT: measure real text too")
    parser.add_argument("--layers", type=number(int, 3), default=12, help="how often its layer is repeated")
    parser.add_argument(
        "--mirror", type=Path, default=PROJECT.parent / "shared" / "data", help="folder that holds raw/"
    )
    parser.add_argument(
        "--texts", type=number(int, 1, TEST_TEXTS), default=64, help="test texts that are timed"
    )
    parser.add_argument("--turns", type=number(int, 1), default=7, help="turns of each contender")
    args = parser.parse_args()
    if args.weights:
        refuse_others(args.weights.resolve())
    studies = args.out.resolve().with_suffix("")
    lines = measure("generated", generated(studies / "generated"), args.texts, args.turns)
    if args.weights:
        folder = real(studies / "real", args.weights.resolve(), args.layers, args.mirror)
        lines += measure("real", folder, args.texts, args.turns)
    else:
        print("real text: not measured, since no --weights were given")
    write_measurements(args.out, COLUMNS, lines)


def refuse_others(weights: Path) -> None:
    """Before anything runs.

    Raises:
        ConfigurationError: the weights are not of an ALBERT.
    """
    architecture = checkpoint_architecture(weights, "--weights")
    if architecture["type"] != "albert":
        raise ConfigurationError(f"--weights {weights}: expected an ALBERT, found {architecture['type']}")


def generated(folder: Path) -> Path:
    """Run the study on generated text."""
    write_splits(folder / "data", generated_texts())
    write_text(folder / "study.yaml", CONFIGURATION.read_text(encoding="utf-8"))
    return finished(folder)


def real(folder: Path, weights: Path, layers: int, mirror: Path) -> Path:
    """Run the study on real text, from an encoder whose one layer is repeated `layers` times, whatever its own number."""
    encoder = folder / "encoder"
    encoder.mkdir(parents=True, exist_ok=True)
    for path in weights.iterdir():
        link = encoder / path.name
        if link.is_symlink() and link.resolve() != path.resolve():  # of a run with other weights
            link.unlink()
        if path.name != "config.json" and not link.exists():
            link.symlink_to(path.resolve())
    write_json(encoder / "config.json", {**read_json(weights / "config.json"), "num_hidden_layers": layers})
    study = read_yaml(CONFIGURATION)
    for unused in ("corpus", "tokenizers"):
        del study[unused]
    study["tasks"]["texts"]["labels"] = list(GENRES)
    study["models"]["albert"] = {"name": "ALBERT", "local": str(encoder)}
    study["distillation"]["students"]["shallow"]["num_hidden_layers"] = layers // 3
    for regime in ("fine_tuning", "distillation"):
        study[regime] |= {"grid": GRID, "options": OPTIONS}
    study["efficiency"]["labels"] = len(GENRES)
    write_splits(folder / "data", genre_texts(mirror / "raw"))
    # JSON is YAML.
    write_text(folder / "study.yaml", json.dumps(study, ensure_ascii=False, indent=1) + "\n")
    return finished(folder)


def finished(folder: Path) -> Path:
    """Run a study's workflow as far as it is not done."""
    targets = [f"results/{name}.csv" for name in TARGETS]
    run_workflow(snakemake_line(folder, "1", targets), folder / "run.log")
    return folder


if __name__ == "__main__":
    run_program(main)
