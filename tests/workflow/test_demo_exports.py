"""Every model that the finished miniature selected answers alike as a graph: LIGERO_DEMO_RESULTS=results pytest tests/workflow."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ligero.command.systems import open_results
from ligero.common.errors import MismatchError
from ligero.export.encoder import build
from ligero.export.parity import compare
from ligero.export.splits import predict_split
from ligero.export.weights import Weights, outline_of
from ligero.models.heads import load_selected
from ligero.reporting.results import Results
from ligero.serving.predictor import GraphRunner
from ligero.settings import plan
from ligero.settings.jobs import export_job
from ligero.tokenizers.fast_tokenizer import FastTokenizer
from ligero.training.evaluate import predict
from ligero.training.features import EncodedSplit


@pytest.fixture(scope="module")
def results() -> Results:
    folder = os.environ.get("LIGERO_DEMO_RESULTS")
    if not folder:
        pytest.skip("LIGERO_DEMO_RESULTS names no results folder of a finished `make demo`")
    return open_results(folder)


@pytest.mark.parametrize("task", ["mldoc", "pawsx", "xnli", "pos", "ner", "mlqa", "sqac", "tar"])
def test_logits_of_the_graph_are_those_of_the_trained_model(results: Results, task: str) -> None:
    """On the whole test split, for every system: within 1e-4, and no arg max differs."""
    wrong, compared = [], 0
    for row in results.rows():
        if row.left_out:
            continue
        job = export_job(results.study, row.regime, row.model, task)
        folder = Path(results.layout.selected_model(row.regime, row.model, task))
        initial = plan.initial_model(results.study, row.regime, row.model)
        path = Path(results.layout.encoded(initial)) / task / "test.parquet"
        split = EncodedSplit.load(path, job.task.type, job.options.model_copy(update={"max_words": None}))
        graph = build(outline_of(folder, job.task.type), Weights(folder)).SerializeToString()
        exported = predict_split(GraphRunner(graph, FastTokenizer.load(folder).pad, True, 1), split)
        compared += 1
        try:
            compare(predict(load_selected(folder, job.task.type), split), exported, split)
        except MismatchError as error:
            wrong.append(f"{row.regime} {row.model}: {error}")
    assert compared == 17 and wrong == []
