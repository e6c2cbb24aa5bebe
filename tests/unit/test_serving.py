"""Answers of exported models: what items may hold, offsets, windows, batches, threads, and what is not imported."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn

from ligero.command.served import post
from ligero.common.errors import ConfigurationError, DataError, LigeroError
from ligero.common.files import write_json
from ligero.common.records import DamagedError, read_record, write_record
from ligero.reporting.artefact_digests import verify_results
from ligero.serving.app import Limits, RefusalError, Server, _items, _json
from ligero.serving.batching import Batcher
from ligero.serving.manifest import Manifest
from ligero.serving.predictor import GraphRunner, Predictor, decisions, differing
from ligero.serving.readers import InputError
from ligero.serving.session import available_cores
from ligero.tokenizers.fast_tokenizer import FastTokenizer
from tests.builders.exports import Selected, selected_model


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Selected, Path]]:
    """A toy model of each type of task, exported."""
    made = {}
    kinds = ("sequence_classification", "token_classification", "question_answering")
    for kind in kinds:
        folder = tmp_path_factory.mktemp(kind)
        selected = selected_model(folder / "study", "albert", kind)  # type: ignore[arg-type]
        selected.export(folder / "out")
        made[kind] = (selected, folder / "out")
    return made


def predictor(exported: dict[str, tuple[Selected, Path]], kind: str) -> Predictor:
    return Predictor(exported[kind][1], precision="fp32", threads=1)


def test_serving_imports_neither_torch_nor_transformers_nor_pandas(project: Path) -> None:
    code = (
        "import sys, ligero.serving.app\n"
        "heavy = {'torch', 'transformers', 'pandas', 'pyarrow', 'onnx', 'pydantic', 'sklearn', 'tqdm', 'datasets'}\n"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project / "workflow", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_text_may_be_a_string_or_an_object_whose_id_is_repeated(exported: Any) -> None:
    first, second = predictor(exported, "sequence_classification").predict(
        ["abc de", {"id": 7, "text": "abc de"}]
    )
    assert second == {"id": 7, **first}
    assert first["label"] in ("no", "sí", "quizá")
    assert sum(first["scores"].values()) == pytest.approx(1.0)
    assert first["score"] == max(first["scores"].values()) == first["scores"][first["label"]]
    assert (first["tokens"], first["truncated"]) == (7, False)


@pytest.mark.parametrize("kind", ["sequence_classification", "token_classification"])
def test_what_was_cut_off_is_said(exported: Any, kind: str) -> None:
    short, long = predictor(exported, kind).predict(["a" * 22, "a" * 23])
    assert (short["tokens"], short["truncated"]) == (24, False)
    assert (long["tokens"], long["truncated"]) == (24, True)


@pytest.mark.parametrize(
    ("kind", "item", "message"),
    [
        ("sequence_classification", {"txt": "a"}, "item 2: 'text' is missing; expected 'text'"),
        ("sequence_classification", {"text": 3}, "item 2: 'text' must be a string, found a number"),
        ("sequence_classification", {"text": "a", "label": "no"}, "item 2: unknown key 'label'"),
        ("sequence_classification", ["a"], "item 2: expected an object with 'text', found a list"),
        (
            "sequence_classification",
            "a\ud800",
            "item 2: 'text' holds half of a surrogate pair at character 1",
        ),
        ("token_classification", {"words": "a"}, "item 2: 'words' must be a list of strings, found a string"),
        (
            "token_classification",
            {"words": ["a", None]},
            r"item 2: 'words\[1\]' must be a string, found null",
        ),
        ("token_classification", {}, "'text' is missing; expected 'text' .or 'words'."),
        ("question_answering", "a", "expected an object with 'question' and 'context', found a string"),
        ("question_answering", {"question": "a"}, "'context' is missing"),
        (
            "question_answering",
            {"question": "a" * 30, "context": "b"},
            "question has 30 tokens, which leaves none",
        ),
    ],
)
def test_items_that_cannot_be_answered_are_refused(exported: Any, kind: str, item: Any, message: str) -> None:
    good = {"question": "a", "context": "b"} if kind == "question_answering" else "a"
    with pytest.raises(InputError, match=message) as refused:
        list(predictor(exported, kind).predict([good, item]))
    assert refused.value.item == 2


@pytest.mark.parametrize("item", ["abc", {"text": "abc"}])
def test_one_item_in_the_place_of_a_list_is_refused(exported: Any, item: Any) -> None:
    with pytest.raises(InputError, match=r"expected a list of items, found one (str|dict); write \[item\]"):
        list(predictor(exported, "sequence_classification").predict(item))


def test_words_and_entities_have_the_offsets_of_the_text(exported: Any) -> None:
    text = "  año,\n ca  bé 😀 fin"
    (answer,) = predictor(exported, "token_classification").predict([text])
    assert [word["word"] for word in answer["words"]] == ["año", ",", "ca", "bé", "😀", "fin"]
    assert all(text[word["start"] : word["end"]] == word["word"] for word in answer["words"])
    assert all(text[entity["start"] : entity["end"]] == entity["text"] for entity in answer["entities"])
    assert not answer["truncated"]


def test_entities_are_runs_of_labels(exported: Any) -> None:
    found = predictor(exported, "token_classification")._reader
    labels = ["B-X", "I-X", "O", "I-X", "B-X", None]
    words = [
        {"word": "ab", "start": 3 * n, "end": 3 * n + 2, "label": label, "score": 0.5 if label else None}
        for n, label in enumerate(labels)
    ]
    entities = found._entities("ab cd ef gh ij kl", words)  # type: ignore[attr-defined]
    assert [(entity["text"], entity["start"], entity["end"]) for entity in entities] == [
        ("ab cd", 0, 5),
        ("gh", 9, 11),
        ("ij", 12, 14),
    ]
    assert {entity["type"] for entity in entities} == {"X"}


def test_words_that_were_not_read_have_no_label(exported: Any) -> None:
    words = ["a" * 20, "bb", "c", "d"]
    (answer,) = predictor(exported, "token_classification").predict([{"words": words}])
    assert answer["truncated"]
    assert [word["label"] is None for word in answer["words"]] == [False, False, True, True]
    assert [word["start"] for word in answer["words"]] == [0, 21, 24, 26]


@pytest.mark.parametrize("item", [". " * 500, {"words": ["a"] * 500}, {"words": [""] * 500}])
def test_a_book_that_is_tagged_is_encoded_as_far_as_it_is_read(
    exported: Any, monkeypatch: pytest.MonkeyPatch, item: Any
) -> None:
    """What is cut off has a place in the answer all the same, and counts for the server's limit."""
    found, encoded = predictor(exported, "token_classification"), []
    encode = FastTokenizer.encode_words
    monkeypatch.setattr(
        FastTokenizer, "encode_words", lambda self, words: encoded.extend(words) or encode(self, words)
    )
    question = found.read(item)
    assert question.words == 500 and question.tokens <= found.manifest.max_length
    if question.tokens == found.manifest.max_length:
        assert len(encoded) <= 2 * found.manifest.max_length
    assert len(found.answer([question])[0]["words"]) == 500  # type: ignore[typeddict-item]
    answer = asked(Server(found, Limits(tokens=400)), json.dumps(item).encode())
    assert answer.status_code == 422
    assert answer.json()["error"]["message"] == "the request has 500 words; at most 400 are answered at once"


def test_long_sentences_are_encoded_as_a_whole_would_be(exported: Any) -> None:
    found = predictor(exported, "token_classification")
    for words in (["a", "b"] * 9, ["a" * 3, ""] * 9, [""] * 40 + ["c"], ["ab"]):
        room = found.manifest.max_length - found._reader.template.single_length
        ids, of = found._reader._encode(words, room)  # type: ignore[attr-defined]
        whole, of_whole = found._reader.tokenizer.encode_words(words)
        assert (ids[: room + 1], of[: room + 1]) == (whole[: room + 1], of_whole[: room + 1])


def asked(server: Server, body: bytes, path: str = "/predict", **headers: str) -> httpx.Response:
    """The answer of a server in this process."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(server.app(), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post(path, content=body, headers=headers)

    return asyncio.run(ask())


def test_a_model_that_computes_no_number_has_failed(capsys: pytest.CaptureFixture[str]) -> None:
    """Its answer is no JSON, which is found before the log says that all went well."""
    made: Any = Held()
    made.go.set()
    made.answer = lambda _: [{"score": float("nan"), "truncated": False}]
    answer = asked(Server(made, Limits()), b'{"text": "a"}', **{"x-request-id": "mine"})
    said = {"message": "the model failed; the server's log has the request's number"}
    assert (answer.status_code, answer.json()) == (500, {"error": said})
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(event["event"], event.get("status")) for event in events] == [
        ("failure", None),
        ("request", 500),
    ]


def test_a_long_context_is_read_in_windows(exported: Any) -> None:
    context = " ".join("abcdefghij"[n % 10] for n in range(60))
    (answer,) = predictor(exported, "question_answering").predict([{"question": "a", "context": context}])
    assert answer["windows"] == 4
    assert context[answer["start"] : answer["end"]] == answer["answer"] != ""
    assert not answer["truncated"]
    (empty,) = predictor(exported, "question_answering").predict([{"question": "a", "context": ""}])
    assert (empty["answer"], empty["score"]) == ("", 0.0)


def test_answers_do_not_depend_on_their_neighbours(exported: Any) -> None:
    selected, folder = exported["sequence_classification"]
    texts = [row["text"] for row in selected.rows()]
    for precision in ("fp32", "int8"):
        found = Predictor(folder, precision=precision, threads=1)  # type: ignore[arg-type]
        together = list(found.predict(texts))
        for text, answer in zip(texts, together, strict=True):
            (alone,) = found.predict([text])
            assert differing(alone, answer) == ""


def test_batches_hold_similar_lengths(exported: Any) -> None:
    runner = predictor(exported, "sequence_classification")._runner
    lengths = [5, 100, 6, 90, 5, 7]
    assert list(runner._plan(lengths)) == [[1, 3], [5, 2, 0, 4]]
    assert [len(batch) for batch in runner._plan([10] * 70)] == [32, 32, 6]
    assert [len(batch) for batch in runner._plan([500] * 9)] == [4, 4, 1]
    _, folder = exported["sequence_classification"]
    alone = GraphRunner(folder / "model.onnx", 0, batches=False, threads=1)
    assert list(alone._plan([3, 2])) == [[0], [1]]


def test_a_stored_answer_that_changes_is_noticed(exported: Any, tmp_path: Path) -> None:

    _, folder = exported["sequence_classification"]
    shutil.copytree(folder, tmp_path / "copy")
    manifest = read_record(folder / "manifest.json")
    manifest["graphs"]["fp32"]["check"]["answer"]["tokens"] += 1
    write_record(tmp_path / "copy" / "manifest.json", manifest)
    with pytest.raises(
        LigeroError, match=r"model\.onnx: the answer to its stored question has changed: answer\.tokens"
    ):
        Predictor(tmp_path / "copy", precision="fp32").check()


def test_answers_are_compared_to_the_last_detail() -> None:
    assert differing({"a": [1.0, "x"]}, {"a": [1.015, "x"]}) == ""
    assert differing({"a": [1.0, "x"]}, {"a": [1.03, "x"]}) == "answer.a[0] is 1.0000, expected 1.0300"
    assert differing({"a": [1.0, "x"]}, {"a": [1.0, "y"]}) == "answer.a[1] is 'x', expected 'y'"
    assert differing({"a": [1.0]}, {"a": []}) == "answer.a has 1 entries, expected 0"
    assert "has the keys ['a'], expected ['b']" in differing({"a": 1}, {"b": 1})


@pytest.mark.parametrize(
    ("found", "expected", "equal"),
    [
        (("O", 0.288), ("I-ORG", 0.289), True),
        (("O", 0.50), ("I-ORG", 0.51), True),
        (("O", 0.26), ("I-ORG", 0.29), False),  # more than rounding
        (("O", 0.60), ("I-ORG", 0.60), False),  # not two of one distribution
    ],
)
def test_a_tie_may_be_decided_otherwise(
    found: tuple[str, float], expected: tuple[str, float], equal: bool
) -> None:
    def tagging(label: str, score: float) -> dict[str, Any]:
        entities = (
            [] if label == "O" else [{"type": "ORG", "text": "a", "start": 0, "end": 1, "score": score}]
        )
        words = [{"word": "a", "start": 0, "end": 1, "label": label, "score": score}]
        return {"words": words, "entities": entities, "tokens": 3, "truncated": False}

    difference = differing(tagging(*found), tagging(*expected))
    assert difference == ("" if equal else "answer.words[0].label is 'O', expected 'I-ORG'")
    span = {"answer": "a", "start": 0, "end": 1, "score": found[1], "tokens": 3}
    other = {"answer": "b", "start": 2, "end": 3, "score": expected[1], "tokens": 3}
    assert (differing(span, other) == "") == equal
    assert differing(span | {"tokens": 4}, other) != ""
    assert decisions(tagging(*found)) != decisions(tagging(*expected))
    assert decisions(span) == decisions(span | {"score": 0.9})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            b'{"text": "a", "id": 1e999}',
            "a number is beyond 1.8e308, the largest that programs read; write it in quotes",
        ),
        (b'{"text": "a", "id": ' + b"1" * 5000 + b"}", "a number has 5,000 digits; write it in quotes"),
        (b'{"text": "a", "text": "b"}', "the key 'text' occurs twice in one object"),
        (b'{"text": "\xff"}', "it is not UTF-8"),
        (b"[" * 100_000, "it is nested too deeply"),
    ],
)
def test_a_request_that_others_would_read_as_something_else_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(RefusalError) as refused:
        _items(body, 8)
    assert (refused.value.status, str(refused.value)) == (400, f"the body is not JSON: {message}")


def test_an_id_comes_back_as_it_was_and_all_that_is_written_is_json() -> None:
    for asked in (rb'{"id":"\ud800 \u00e1"}', b'{"id":[-0.5,1e+308,null,"\xf0\x9f\x98\x80"]}'):
        single, (item,) = _items(asked, 1)
        assert single and json.loads(bytes(_json(item).body)) == json.loads(asked)
    with pytest.raises(ValueError, match="not JSON compliant"):
        _json({"score": float("nan")})


class Held:
    """Stands for a predictor that answers when it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.answered: list[list[str]] = []

    def read(self, item: dict[str, str]) -> Any:
        return SimpleNamespace(tokens=10, words=0, text=item["text"])

    def answer(self, questions: list[Any]) -> list[dict[str, Any]]:
        self.go.wait(60)
        self.answered.append([question.text for question in questions])
        return [{"truncated": False} for _ in questions]


def test_a_request_larger_than_the_queue_is_answered_by_an_idle_model() -> None:
    held: Any = Held()
    held.go.set()

    async def run() -> list[Any]:
        return await Batcher(held, max_queue_tokens=5).answer([held.read({"text": "of 10 tokens"})])

    assert asyncio.run(run()) == [{"truncated": False}]


def test_requests_of_clients_that_have_left_are_not_answered() -> None:
    """Else clients that give up and ask again fill the queue with work that nobody reads, and others are refused."""
    held: Any = Held()
    server = Server(held, Limits())

    async def until(tokens: int) -> None:
        for _ in range(500):
            if server.batcher.waiting_tokens == tokens:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{server.batcher.waiting_tokens} tokens wait, expected {tokens}")

    async def run() -> bytes:
        listening = socket.create_server(("127.0.0.1", 0))
        uvicorn_server = uvicorn.Server(uvicorn.Config(server.app(), log_config=None, http="h11"))
        serving = asyncio.create_task(uvicorn_server.serve(sockets=[listening]))
        clients = []
        try:
            for number, text in enumerate(("one", "two", "three"), start=1):
                clients.append(await asyncio.open_connection(*listening.getsockname()))
                clients[-1][1].write(post(b'{"text": "%s"}' % text.encode()))
                await until(10 * number)
            for _, writer in clients[1:]:
                writer.transport.abort()
            await until(10)
            held.go.set()
            return await asyncio.wait_for(clients[0][0].readline(), 10)
        finally:
            held.go.set()
            for _, writer in clients:
                writer.close()
            uvicorn_server.should_exit = True
            await serving

    assert asyncio.run(run()) == b"HTTP/1.1 200 OK\r\n"
    assert held.answered == [["one"]]
    assert server.batcher.waiting_tokens == 0


def test_folders_that_no_export_wrote_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no manifest\.json; a folder that the export wrote is expected"):
        Predictor(tmp_path)
    write_record(tmp_path / "model/manifest.json", {"format": 1})
    with pytest.raises(DataError, match=rf"wrote is expected\. Name {tmp_path}/model\.$"):
        Predictor(tmp_path)
    write_record(tmp_path / "manifest.json", {"format": 99})
    with pytest.raises(DataError, match="format is 99, expected 1"):
        Predictor(tmp_path)
    write_record(tmp_path / "manifest.json", {"format": 1, "colour": "red"})
    with pytest.raises(DataError, match=r"keys missing or unknown: .*colour"):
        Predictor(tmp_path)


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("parity", {"features": 3}, "'parity' has the keys features; expected features, decisions, "),
        ("int8", {"accepted": True}, "'int8' has the keys accepted; expected .* or accepted, reason"),
        ("processor", [], r"'processor' has the keys \[\]; expected name, flags"),
        ("scores", {"fp32": {"score": 1.0}}, r"'scores\.fp32' has the keys score; expected task, "),
        ("sources", None, "'sources' is malformed"),
        ("graphs", {"fp32": {"file": "a"}}, "'graphs' is malformed"),
        (
            "graphs",
            {
                "fp32": {
                    "file": "a",
                    "bytes": 1,
                    "batches": True,
                    "milliseconds": 1.0,
                    "timed_tokens": 9,
                    "check": {"item": "b"},
                }
            },
            r"'graphs\.fp32\.check' has the keys item; expected item, answer",
        ),
        ("tokenizer", {"kind": "a"}, "'tokenizer' is malformed"),
    ],
)
def test_a_manifest_whose_records_lack_keys_is_refused(
    exported: Any, tmp_path: Path, part: str, value: object, message: str
) -> None:
    manifest = read_record(exported["sequence_classification"][1] / "manifest.json")
    write_record(tmp_path / "manifest.json", {**manifest, part: value})
    with pytest.raises(DataError, match=message):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"files": {}}, r"'files' has no digest of tokenizer\.json"),
        (
            {"files": {"../tokenizer.json": "0"}},
            r"names \.\./tokenizer\.json, which is not in the folder itself",
        ),
        ({"files": {"/etc/passwd": "0"}}, "names /etc/passwd, which is not in the folder"),
        ({"precision": "int4"}, "precision is 'int4', but there is no such graph"),
    ],
)
def test_a_manifest_names_files_of_its_folder_and_all_that_is_read(
    exported: Any, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    manifest = read_record(exported["sequence_classification"][1] / "manifest.json")
    if changes.get("files"):
        changes = {"files": {**manifest["files"], **changes["files"]}}
    write_record(tmp_path / "manifest.json", {**manifest, **changes})
    with pytest.raises(DataError, match=message):
        Manifest.read(tmp_path)


def test_a_manifest_of_an_unknown_task_is_refused(exported: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(exported["sequence_classification"][1], tmp_path / "copy")
    manifest = read_record(folder / "manifest.json")
    write_record(folder / "manifest.json", {**manifest, "task_type": "summarisation"})
    with pytest.raises(DataError, match="task_type is 'summarisation', which is unknown"):
        Predictor(folder)


def test_an_edited_manifest_is_refused(exported: Any, tmp_path: Path) -> None:
    """Labels in another order, which nothing else would notice."""
    text = (exported["sequence_classification"][1] / "manifest.json").read_text()
    assert '"no",\n    "sí"' in text
    (tmp_path / "manifest.json").write_text(text.replace('"no",\n    "sí"', '"sí",\n    "no"'))
    with pytest.raises(DamagedError, match=r"manifest\.json: it was changed .*snakemake exports --forcerun"):
        Manifest.read(tmp_path)
    write_json(tmp_path / "manifest.json", {"format": 1})
    with pytest.raises(DamagedError, match=r"older version wrote it\. Copy the folder again, or export"):
        Manifest.read(tmp_path)


def test_threads_are_counted_from_one(exported: Any) -> None:
    for threads in (0, -1, 1025, 99_999_999_999):
        with pytest.raises(
            ConfigurationError, match=f"--threads {threads}: expected a number from 1 to 1024"
        ):
            Predictor(exported["sequence_classification"][1], threads=threads)


def test_an_export_in_the_place_of_another_is_found(exported: Any, tmp_path: Path) -> None:
    place = tmp_path / "exports" / "fine-tuning" / "m" / "other"
    shutil.copytree(exported["sequence_classification"][1], place)
    (found,) = verify_results(tmp_path).findings
    assert found.problem.startswith("it belongs elsewhere: it is of ")
    assert found.remedy.endswith("snakemake exports --forcerun export_model.")


def test_an_export_of_a_model_that_is_no_longer_selected_is_found(exported: Any, tmp_path: Path) -> None:
    manifest = Manifest.read(exported["sequence_classification"][1])
    own = (manifest.regime, manifest.model, manifest.task)
    place = tmp_path.joinpath("exports", *own)
    shutil.copytree(exported["sequence_classification"][1], place)
    selection = tmp_path.joinpath("selection", *own).with_name(f"{manifest.task}.json")
    for digest, problems in (
        (manifest.model_digest, []),
        ("other", [f"it is not of the model of {selection}, which is selected now."]),
    ):
        write_record(selection, {"model_digest": digest})
        found = [finding.problem for finding in verify_results(tmp_path).findings if finding.kind == "export"]
        assert found == problems


def test_threads_follow_the_quota_of_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert available_cores(tmp_path) == 8
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert available_cores(tmp_path) == 2
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert available_cores(tmp_path) == 8
    (tmp_path / "cpu.max").unlink()
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("50000")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert available_cores(tmp_path) == 1
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1")
    assert available_cores(tmp_path) == 8
