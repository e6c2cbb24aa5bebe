"""From a selected model to a folder that answers without torch."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx

from ligero.common.errors import MismatchError
from ligero.common.files import atomic_directory
from ligero.common.hashing import sha256_file
from ligero.efficiency.processor import processor
from ligero.export.encoder import Int8, build
from ligero.export.exits import EarlyExit, early_exit
from ligero.export.parity import compare
from ligero.export.quantisation import Gate, quantise
from ligero.export.splits import features_of, milliseconds, predict_split, predictions_of
from ligero.export.weights import Weights, outline_of
from ligero.models.digests import check_model
from ligero.models.heads import load_selected
from ligero.serving.answers import Item
from ligero.serving.manifest import (
    FORMAT,
    TOKENIZER_FILE,
    Accepted,
    Exits,
    GraphFile,
    GraphScore,
    Manifest,
    NoExits,
    NotTried,
    Parity,
    Precision,
    Refused,
)
from ligero.serving.predictor import GraphRunner, Predictor
from ligero.settings.jobs import ExportJob
from ligero.tokenizers.fast_tokenizer import FAST_TOKENIZER_FILE, FastTokenizer
from ligero.training.evaluate import Predictions, predict
from ligero.training.features import EncodedSplit
from ligero.training.scoring import Examples, score_predictions, score_record

GRAPH_FILES: dict[Precision, str] = {"fp32": "model.onnx", "int8": "model.int8.onnx"}
CHECKS: dict[str, Item] = {
    "text": "Ana vive en Madrid.",
    "pair": {"text": "Ana vive en Madrid.", "second_text": "Ana vive en España."},
    "question": {"question": "¿Dónde vive Ana?", "context": "Ana vive en Madrid."},
}
"""What a server asks itself before it says that it is ready; no text of a data set."""
_COPIED = ("README.md", "NOTICE")
_LIBRARIES = ("onnx", "onnxruntime", "tokenizers", "numpy", "torch", "transformers")


def export_model(
    job: ExportJob, *, model_dir: Path, encoded_dir: Path, examples_dir: Path, out: Path, threads: int = 1
) -> Manifest:
    """Write `out`: graphs, tokenizer, manifest and card of a selected model, all or nothing.

    The fp32 graph must give the trained model's logits on the test split, up to rounding. Beside it comes an int8 graph, where
    one scores as well on the validation split (`ligero.export.quantisation`).

    Args:
        model_dir: `R/models/REGIME/MODEL/TASK`.
        encoded_dir: `R/encoded/TOKENIZER/TASK`, as the model reads it.
        examples_dir: `R/tasks/TASK`.
        threads: of the passes over splits; times are those of one thread, whatever this is.

    Returns:
        What was written as `manifest.json`.

    Raises:
        MismatchError: the graph computes something else than the model; nothing is written.
        DataError: a file is missing or malformed, or the architecture cannot be exported.
    """
    digest = check_model(model_dir)
    task, whole = job.task, job.options.model_copy(update={"max_words": None})
    tokenizer = FastTokenizer.load(model_dir)
    outline, weights = outline_of(model_dir, task.type), Weights(model_dir)
    splits = {
        name: EncodedSplit.load(encoded_dir / f"{name}.parquet", task.type, whole)
        for name in ("train", "validation", "test")
    }
    examples = {
        name: Examples.load(examples_dir / f"{name}.parquet", task.type) for name in ("validation", "test")
    }
    exact = build(outline, weights)
    models: dict[Precision, onnx.ModelProto] = {"fp32": exact}
    batches: dict[Precision, bool] = {"fp32": True}

    def runner(name: Precision, threads: int = threads) -> GraphRunner:
        return GraphRunner(models[name].SerializeToString(), tokenizer.pad, batches[name], threads)

    exact_runner = runner("fp32")
    predictions: dict[Precision, Predictions] = {"fp32": predict_split(exact_runner, splits["test"])}
    trained = predict(load_selected(model_dir, task.type), splits["test"])

    def compared() -> Parity:
        try:
            return compare(trained, predictions["fp32"], splits["test"])
        except MismatchError as error:
            raise MismatchError(f"{model_dir}: {error}") from error

    parity = compared()

    made_of: dict[Precision, tuple[Weights, Int8 | None]] = {"fp32": (weights, None)}
    int8: Accepted | Refused | NotTried = {"accepted": False, "reason": "export.int8 is false"}
    gate = Gate(
        task=task,
        options=whole,
        split=splits["validation"],
        examples=examples["validation"],
        pad=tokenizer.pad,
        threads=threads,
        reference=lambda: predict_split(exact_runner, splits["validation"]),
        max_drop=job.export.max_drop,
    )
    if job.export.int8:
        quantised = quantise(
            outline, weights, lambda: load_selected(model_dir, task.type), splits["train"], gate, job.export
        )
        int8 = quantised.record
        if quantised.model is not None and quantised.weights is not None:
            models["int8"], batches["int8"] = quantised.model, quantised.batches
            made_of["int8"] = quantised.weights, quantised.int8
            predictions["int8"] = predict_split(runner("int8"), splits["test"])

    def score(found: Predictions) -> GraphScore:
        answered = score_predictions(task, whole, found, splits["test"], examples["test"])
        return {"split": "test", **score_record(job.task_id, task, answered, whole.seed)}

    exits: dict[Precision, Exits | NoExits] = {}
    for name, parts in made_of.items() if job.early_exit else ():
        chosen = early_exit(outline, *parts, models[name], gate, batches[name])
        if not isinstance(chosen, EarlyExit):
            exits[name] = chosen
            continue
        models[name] = chosen.model
        with_exits = runner(name)
        predictions[name] = predict_split(with_exits, splits["test"])
        outputs = with_exits.run(features_of(splits["test"]), chosen.figures["threshold"])
        exits[name] = {
            "accepted": True,
            **chosen.figures,
            "test": score(predictions_of(outputs, task.type)),
            "test_repetitions": float(np.mean([output["repetitions"] for output in outputs])),
        }
    if exits:
        parity = compared()
    scores = {name: score(found) for name, found in predictions.items()}
    times, timed_tokens = milliseconds({name: runner(name, threads=1) for name in models}, splits["test"])
    with atomic_directory(out) as staging:
        for name, model in models.items():
            (staging / GRAPH_FILES[name]).write_bytes(model.SerializeToString())
        shutil.copyfile(model_dir / FAST_TOKENIZER_FILE, staging / TOKENIZER_FILE)
        for copied in _COPIED:
            if (model_dir / copied).is_file():
                shutil.copyfile(model_dir / copied, staging / copied)
        files = {path.name: sha256_file(path) for path in sorted(staging.iterdir())}
        graphs = {
            name: GraphFile(
                file=GRAPH_FILES[name],
                bytes=(staging / GRAPH_FILES[name]).stat().st_size,
                batches=batches[name],
                milliseconds=times[name],
                timed_tokens=timed_tokens,
                check=None,
            )
            for name in models
        }
        manifest = Manifest(
            format=FORMAT,
            name=job.name,
            regime=job.regime,
            model=job.model_id,
            task=job.task_id,
            model_digest=digest,
            task_name=job.task_name,
            task_type=task.type,
            metric=task.metric,
            pairs=job.pairs,
            labels=task.labels,
            max_length=job.encoding.max_length,
            doc_stride=job.encoding.doc_stride,
            n_best=whole.n_best,
            max_answer_length=whole.max_answer_length,
            tokenizer=tokenizer.info,
            graphs=graphs,
            precision="int8" if "int8" in models else "fp32",
            parity=parity,
            int8=int8,
            scores=scores,
            exits=exits,
            sources={
                name: {"licence": source.licence, "citation": source.citation}
                for name, source in job.sources.items()
            },
            versions={name: version(name) for name in _LIBRARIES},
            processor=processor(),
            files=files,
        )
        manifest = with_checks(manifest, staging)
        manifest.write(staging)
    return manifest


def with_checks(manifest: Manifest, folder: Path) -> Manifest:
    """The manifest with the answer that each graph gives to the stored question."""
    kind = "question" if manifest.task_type == "question_answering" else "pair" if manifest.pairs else "text"
    manifest.write(folder)
    graphs = {}
    for name, graph in manifest.graphs.items():
        (answer,) = Predictor(folder, precision=name, threads=1, full_depth=True).predict([CHECKS[kind]])
        graphs[name] = replace(graph, check={"item": CHECKS[kind], "answer": answer})
    return replace(manifest, graphs=graphs)
