"""`ligero train` on a CoNLL file with a checkpoint of one's own: to a model that answers, wherever it is called from."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.published_layouts import beto

pytestmark = pytest.mark.slow
NAMES, PLACES = ("ana", "luis", "inés", "íñigo"), ("madrid", "españa", "bogotá", "cádiz")


def sentences(count: int) -> list[tuple[str, str]]:
    """(name, place) pairs, all different."""
    pairs = [(f"{name} {other}", place) for name in NAMES for other in NAMES for place in PLACES]
    return random.Random(1).sample(pairs, count)


def conll(path: Path) -> None:
    lines = []
    for name, place in sentences(40):
        first, last = name.split()
        rows = [(first, "B-PER"), (last, "I-PER"), ("vive", "O"), ("en", "O"), (place, "B-LOC")]
        lines += [f"{word} {tag}\n" for word, tag in rows] + ["\n"]
    path.write_text("".join(lines), encoding="utf-8")


def test_from_a_file_to_answers(project: Path, tmp_path: Path) -> None:
    """Another folder, relative paths, the locale C, a home that cannot be written (/dev/null is that for root too)."""
    conll(tmp_path / "gente.conll")
    (tmp_path / "teacher").mkdir()
    beto(tmp_path / "teacher", tokenizer_config={"do_lower_case": True})
    environment = {
        "PATH": os.environ["PATH"], "LANG": "C", "LC_ALL": "C", "HOME": "/dev/null", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
    }  # fmt: skip

    def ligero(*arguments: str) -> str:
        line = [sys.executable, str(project / "workflow/scripts/run_command.py"), *arguments]
        done = subprocess.run(line, capture_output=True, cwd=tmp_path, env=environment, timeout=900)
        assert done.returncode == 0, done.stderr.decode()[-3000:]
        return done.stdout.decode()

    trained = ligero(
        "train", "gente.conll", "--teacher", "teacher", "--student", "1", "--out", "study", "--cores", "1"
    )
    assert "(distilled)" in trained and "model: " in trained
    answers = [json.loads(line) for line in ligero("predict", "study/model", "gente.conll").splitlines()]
    assert len(answers) == 40
    assert [word["word"] for word in answers[0]["words"]][2:4] == ["vive", "en"]
