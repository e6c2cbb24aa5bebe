"""The embedded study: all files from one seed. The same seed and scale give the same bytes on any machine."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

from ligero.common.records import FILES, digests_of, write_record
from ligero.settings.sources import GENERATED
from ligero.synthetic import files, tagging
from ligero.synthetic.documents import TOPICS, Document, draw_document
from ligero.synthetic.grammar import Token
from ligero.synthetic.inference import LABELS, Triple, draw_triple
from ligero.synthetic.paraphrases import Pair, draw_pair
from ligero.synthetic.questions import Paragraph, draw_paragraph
from ligero.synthetic.raw import MAKERS, corpus_text

SPLITS = ("train", "dev", "test")
Sizes = tuple[int, int, int]


@dataclass(frozen=True)
class StudySizes:
    """Examples of train, dev and test (POS, NER: sentences; XNLI: pairs; QA: questions)."""

    mldoc: Sizes = (960, 120, 400)
    pawsx: Sizes = (1600, 160, 500)
    xnli: Sizes = (1350, 180, 510)
    pos: Sizes = (600, 100, 300)
    ner: Sizes = (800, 120, 400)
    mlqa: Sizes = (800, 120, 400)
    sqac: Sizes = (800, 120, 400)
    tar: Sizes = (800, 120, 400)
    corpus_scale: float = 1.0

    def scaled(self, scale: float) -> StudySizes:
        """Sizes times ``scale``, at least 12 examples a split."""

        def grow(sizes: Sizes) -> Sizes:
            train, dev, test = (max(12, round(n * scale)) for n in sizes)
            return train, dev, test

        grown = {f.name: grow(getattr(self, f.name)) for f in fields(self) if f.name != "corpus_scale"}
        return StudySizes(**grown, corpus_scale=self.corpus_scale * scale)


Item = TypeVar("Item")


def _source(seed: int, name: str) -> random.Random:
    """A random source of its own for each file; text seeds do not depend on PYTHONHASHSEED."""
    return random.Random(f"ligero/{seed}/{name}")


def _splits(
    seed: int,
    task: str,
    sizes: Sizes,
    draw: Callable[[random.Random, int], Item],
    keys: Callable[[Item], Iterable[Hashable]],
) -> dict[str, list[Item]]:
    """``draw(rng, index)`` for every split; an item that shares a key with another split is drawn again."""
    taken: set[Hashable] = set()
    result: dict[str, list[Item]] = {}
    for split, size in reversed(list(zip(SPLITS, sizes, strict=True))):
        rng = _source(seed, f"{task}/{split}")
        own: set[Hashable] = set()
        result[split] = []
        for index in range(size):
            item = draw(rng, index)
            while any(key in taken for key in keys(item)):
                item = draw(rng, index)
            own.update(keys(item))
            result[split].append(item)
        taken |= own
    return result


def _tsv(rows: Iterable[Iterable[object]]) -> bytes:
    return "".join("\t".join(map(str, row)) + "\n" for row in rows).encode()


def _corpus(seed: int, sizes: StudySizes) -> Iterable[tuple[str, bytes]]:
    for name, (maker, size) in MAKERS.items():
        yield name, corpus_text(maker, round(size * sizes.corpus_scale), _source(seed, name)).encode()


def _mldoc(seed: int, sizes: StudySizes) -> Iterable[tuple[str, bytes]]:
    total = sum(sizes.mldoc) + sum(sizes.mldoc) // 20
    items = _source(seed, "mldoc/items").sample(range(55000, 75000), total)
    numbers = iter(items)

    def draw(rng: random.Random, index: int) -> Document:
        return draw_document(rng, 0, (TOPICS[index % len(TOPICS)],))

    drawn = _splits(seed, "mldoc", sizes.mldoc, draw, lambda d: d.paragraphs)
    archive: list[Document] = []
    for split, name in zip(SPLITS, ("spanish.train.10000", "spanish.dev", "spanish.test"), strict=True):
        numbered = [Document(**{**d.__dict__, "item": next(numbers)}) for d in drawn[split]]
        archive += numbered
        order = _source(seed, f"mldoc/{split}/order")
        order.shuffle(numbered)
        yield f"mldoc-indices/{name}", "".join(d.doc_id + "\n" for d in numbered).encode()
    # Documents with two topics or none are in Reuters, but not in MLDoc's index.
    rng = _source(seed, "mldoc/outside")
    for number in numbers:
        archive.append(draw_document(rng, number, rng.choice(((), (*sorted(rng.sample(TOPICS, 2)),)))))
    archive.sort(key=lambda d: d.member)
    yield "rcv2/rcv2-spanish.zip", files.zipped((d.member, d.xml()) for d in archive)


def _pawsx(seed: int, sizes: StudySizes) -> Iterable[tuple[str, bytes]]:
    drawn: dict[str, list[Pair]] = _splits(
        seed, "pawsx", sizes.pawsx, lambda rng, i: draw_pair(rng, i % 2), lambda p: (p.first, p.second)
    )
    for split, name in zip(SPLITS, ("translated_train", "dev_2k", "test_2k"), strict=True):
        pairs = drawn[split]
        _source(seed, f"pawsx/{split}/order").shuffle(pairs)
        header = ("id", "sentence1", "sentence2", "label")
        rows = [(i, p.first, p.second, p.label) for i, p in enumerate(pairs, 1)]
        yield f"pawsx/es/{name}.tsv", _tsv([header, *rows])


_COLUMNS = (
    "language gold_label sentence1_binary_parse sentence2_binary_parse sentence1_parse sentence2_parse sentence1 "
    "sentence2 promptID pairID genre label1 label2 label3 label4 label5 sentence1_tokenized sentence2_tokenized match"
)
XNLI_COLUMNS = tuple(_COLUMNS.split())


def _xnli(seed: int, sizes: StudySizes) -> Iterable[tuple[str, bytes]]:
    train, dev, test = (-(-n // 3) for n in sizes.xnli)
    drawn: dict[str, list[Triple]] = _splits(
        seed,
        "xnli",
        (train, dev, test),
        lambda rng, i: draw_triple(rng),
        lambda t: (t.premise, *((t.premise, h) for h in t.hypotheses.values())),
    )
    rows: list[tuple[object, ...]] = [("premise", "hypo", "label")]
    for triple in drawn["train"]:
        for label in _source(seed, triple.premise).sample(LABELS, 3):
            written = "contradictory" if label == "contradiction" else label
            rows.append((triple.premise, triple.hypotheses[label], written))
    yield "xnli/multinli.train.es.tsv", _tsv(rows)
    for split in ("dev", "test"):
        lines: list[list[object]] = [list(XNLI_COLUMNS)]
        for prompt, triple in enumerate(drawn[split], 1):
            for label in _source(seed, triple.premise).sample(LABELS, 3):
                pair = len(lines)
                known = {
                    "language": "es",
                    "gold_label": label,
                    "sentence1": triple.premise,
                    "sentence2": triple.hypotheses[label],
                    "promptID": prompt,
                    "pairID": pair,
                    "genre": triple.genre,
                    **{f"label{k}": label for k in range(1, 6)},
                    "match": "True",
                }
                lines.append([known.get(column, "") for column in XNLI_COLUMNS])
        yield f"xnli/xnli.{split}.es.tsv", _tsv(lines)


def _tagging(seed: int, sizes: StudySizes) -> Iterable[tuple[str, bytes]]:
    def text_key(tokens: list[Token]) -> tuple[str]:
        return (tagging.surface(tokens),)

    pos = _splits(
        seed, "pos", sizes.pos, lambda rng, i: tagging.draw_sentence(rng, tagging.POS_PATTERNS), text_key
    )
    for split in SPLITS:
        text = "".join(tagging.conllu(tokens, f"{split}-s{i}") for i, tokens in enumerate(pos[split], 1))
        yield f"ud_ancora/es_ancora-ud-{split}.conllu", text.encode()
    ner = _splits(
        seed, "ner", sizes.ner, lambda rng, i: tagging.draw_sentence(rng, tagging.NER_PATTERNS), text_key
    )
    for split, name in zip(SPLITS, ("train", "testa", "testb"), strict=True):
        yield f"conll2002/esp.{name}", "".join(map(tagging.conll2002, ner[split])).encode()


QA_FILES: dict[str, tuple[str, Sizes, tuple[str, str, str], str, int]] = {
    "mlqa": (
        "lives",
        (2, 2, 2),
        (
            "mlqa/translate-train/es_squad-translate-train-train-v1.1.json",
            "mlqa/dev-context-es-question-es.json",
            "mlqa/test-context-es-question-es.json",
        ),
        "1.0",
        40,
    ),
    "sqac": ("events", (3, 2, 2), ("sqac/train.json", "sqac/dev.json", "sqac/test.json"), "1.0", 36),
    "tar": (
        "places",
        (3, 2, 2),
        ("squad_es/train-v1.1-es.json", "squad_es/dev-v1.1-es.json", "xquad/xquad.es.json"),
        "1.1",
        24,
    ),
}
"""Task: maker of its paragraphs, questions a paragraph, files, version in the file, length of an identifier."""


def _squad(paragraphs: list[Paragraph], size: int, version: str, salt: str, id_length: int) -> bytes:
    """SQuAD v1.1 JSON with exactly ``size`` questions, one article a paragraph."""
    articles = []
    left = size
    for number, paragraph in enumerate(paragraphs):
        qas = []
        for k, question in enumerate(paragraph.questions[:left]):
            identifier = hashlib.sha1(f"{salt}/{number}/{k}".encode()).hexdigest()[:id_length]
            answer = {"text": question.answer, "answer_start": question.start}
            qas.append({"id": identifier, "question": question.text, "answers": [answer]})
        left -= len(qas)
        if qas:
            articles.append(
                {"title": paragraph.title, "paragraphs": [{"context": paragraph.context, "qas": qas}]}
            )
    return json.dumps({"version": version, "data": articles}, ensure_ascii=False, indent=1).encode()


def _questions(seed: int, sizes: StudySizes) -> Iterable[tuple[str, bytes]]:
    for task, (maker, each, names, version, id_length) in QA_FILES.items():
        wanted: Sizes = getattr(sizes, task)
        per_split = dict(zip(SPLITS, each, strict=True))
        contexts = tuple(-(-n // k) for n, k in zip(wanted, each, strict=True))
        drawn: dict[str, list[Paragraph]] = {}
        taken: set[str] = set()
        for split, count in reversed(list(zip(SPLITS, contexts, strict=True))):
            rng = _source(seed, f"{task}/{split}")
            drawn[split] = []
            while len(drawn[split]) < count:
                paragraph = draw_paragraph(rng, maker, per_split[split])
                if paragraph.context not in taken and len(paragraph.questions) == per_split[split]:
                    taken.add(paragraph.context)
                    drawn[split].append(paragraph)
        for split, name, size in zip(SPLITS, names, wanted, strict=True):
            yield name, _squad(drawn[split], size, version, f"{seed}/{name}", id_length)


PRODUCERS = (_corpus, _mldoc, _pawsx, _xnli, _tagging, _questions)


def generate(out_dir: Path, seed: int, scale: float = 1.0) -> None:
    """Write every file of ``files.FILES`` under ``out_dir``, and the record of their digests."""
    sizes, names = StudySizes().scaled(scale), []
    for producer in PRODUCERS:
        for name, data in producer(seed, sizes):
            files.write(out_dir, name, data)
            names.append(name)
    write_record(out_dir / GENERATED, {FILES: digests_of(out_dir, names)})
