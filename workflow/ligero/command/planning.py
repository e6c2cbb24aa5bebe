"""From a user's data to the configuration of a study: which models, how long, how many epochs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml

from ligero.command.examples import Section, UserData, texts_of
from ligero.command.lengths import LENGTHS, Lengths
from ligero.command.project import PROJECT
from ligero.common.errors import ConfigurationError
from ligero.common.files import user_path
from ligero.common.hashing import sha256_file
from ligero.common.names import plain
from ligero.settings.defaults import checkpoint_architecture
from ligero.settings.models import usable_positions
from ligero.settings.yaml_files import read_yaml
from ligero.tasks.splits import LoadedSplit

BETO = "dccuchile/bert-base-spanish-wwm-uncased"
ALBETO_TINY = "dccuchile/albert-tiny-spanish"
SCRATCH = "scratch"
BATCH = 16
GENERATED = (
    "embedded-raw-noticias", "embedded-raw-cuentos", "embedded-raw-manuales", "embedded-raw-conversaciones",
)  # fmt: skip

Kind = Literal["ms", "MB", "%"]


@dataclass(frozen=True)
class Budget:
    """A limit that the chosen system must keep."""

    amount: float
    kind: Kind

    @classmethod
    def read(cls, text: str) -> Budget:
        """Read `5ms`, `10MB` or `95%`.

        Raises:
            ConfigurationError: something else.
        """
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|mb|%)", text.strip(), re.IGNORECASE)
        if not match or float(match[1]) <= 0 or (match[2] == "%" and float(match[1]) > 100):
            raise ConfigurationError(
                f"--budget {text}: expected milliseconds (5ms), megabytes (10MB) or a share of the teacher, at most 100% (95%)"
            )
        kinds: dict[str, Kind] = {"ms": "ms", "mb": "MB", "%": "%"}
        return cls(float(match[1]), kinds[match[2].lower()])

    def __str__(self) -> str:
        return f"{self.amount:g}{'' if self.kind == '%' else ' '}{self.kind}"


@dataclass(frozen=True)
class Shape:
    """What of a model limits a study: its layers, and how many tokens it can read."""

    layers: int
    positions: int


@dataclass(frozen=True)
class Weights:
    """Where a model starts: `hub` OWNER/NAME, `local` folder, or `scratch`."""

    kind: Literal["hub", "local", "scratch"]
    place: str = ""

    @classmethod
    def read(cls, text: str, option: str) -> Weights:
        """Tell a folder from a name of the hub.

        Raises:
            ConfigurationError: neither.
        """
        if text == SCRATCH:
            return cls("scratch")
        folder = user_path(text)
        if folder.is_dir():
            return cls("local", str(folder.resolve()))
        if re.fullmatch(r"[\w.-]+/[\w.-]+", text):
            return cls("hub", text)
        raise ConfigurationError(
            f"{option} {text}: no such folder, and no OWNER/NAME of the hub; expected one of them, or `{SCRATCH}`"
        )

    @property
    def id(self) -> str:
        """An id for the configuration: the last part of the name, in its letters."""
        return slug(Path(self.place).name)

    def shape(self, option: str) -> Shape:
        """Of a model of the registry or of a local folder.

        Raises:
            ConfigurationError: the folder does not say it; the message begins with `option`.
        """
        if self.kind == "local":
            found = checkpoint_architecture(Path(self.place), option)
        else:
            known = read_yaml(PROJECT / "resources" / "sources.yaml")["hub_models"]
            found = known[self.place]["architecture"]
        positions = usable_positions(found["type"], int(found.get("max_position_embeddings", 512)))
        return Shape(int(found["num_hidden_layers"]), positions)


def slug(name: str) -> str:
    """A name in the letters of an id: lower case, digits and hyphens; so short that something may be added to it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:80].strip("-") or "study"


def study_id(name: str) -> str:
    """The id of the study, the task and the source of a file of that name: none that means something else in a study."""
    own = slug(name)
    return f"{own}-study" if plain(own) == "all" or own in GENERATED else own


@dataclass(frozen=True)
class Plan:
    """Everything that decides a study.

    Attributes:
        name: id of the task, and name of the study.
        student: its own weights, or how many of the teacher's layers it keeps.
        family: train students of several depths, for a budget.
    """

    name: str
    data: UserData
    splits: dict[str, LoadedSplit]
    teacher: Weights
    student: Weights | int
    family: bool
    seed: int

    @property
    def from_scratch(self) -> bool:
        return self.teacher.kind == "scratch"

    @property
    def texts_id(self) -> str:
        """Of the corpus that a study from scratch has, and name of its file: others than those of any copy."""
        return f"{self.name}-texts"

    def copies(self) -> dict[str, str]:
        """Split to the name of its file in the study's folder `data`."""
        return {
            split: f"{self.name}{'' if len(self.data.files) == 1 else f'-{split}'}{path.suffix}"
            for split, path in self.data.files.items()
        }

    def texts(self) -> str:
        """The texts of the training split, one per line, each once."""
        texts = [
            " ".join(text.split()) for example in self.splits["train"].examples for text in texts_of(example)
        ]
        return "".join(f"{text}\n" for text in dict.fromkeys(texts))

    def configuration(self) -> Section:
        """The study, as it is written to study.yaml."""
        copies = self.copies()
        source_of = {split: slug(Path(name).stem) for split, name in copies.items()}
        sources = {
            source_of[split]: {"path": copies[split], "sha256": sha256_file(path)}
            for split, path in self.data.files.items()
        }
        length = self.length
        options: Section = {"max_length": length, "seed": self.seed}
        if self.data.kind == "question_answering":
            options["doc_stride"] = length // 4
        if not self.from_scratch:
            options["head_learning_rate_factor"] = 10.0
        config: Section = {
            "name": self.name,
            "results_dir": "results",
            "mirror": "data",
            "seed": self.seed,
        }
        task: Section = {**self.data.settings(), "splits": self.data.splits(source_of)}
        if self.from_scratch:
            texts = self.texts_id
            sources[texts] = {
                "path": f"{texts}.txt",
                "sha256": hashlib.sha256(self.texts().encode()).hexdigest(),
            }
            config |= {
                "corpus": {
                    "parts": [texts, *GENERATED],
                    "cleaning": {"lower_case": True},
                    "validation_share": 0.03,
                },
                "tokenizers": {
                    "words": {"kind": "wordpiece", "vocabulary_size": 1500, "training_sentences": 50000}
                },
            }
        students = self.students()
        reference, models = self.models()
        return {
            **config,
            "sources": sources,
            "tasks": {self.name: task},
            "models": models,
            "fine_tuning": {
                "grid": self.grid(self.epochs, "1e-3" if self.from_scratch else "5e-5"),
                "trials_per_job": "all",
                "options": options,
            },
            "teachers": {"candidates": [reference]},
            "distillation": {
                "students": students,
                "grid": self.grid(3 * self.epochs, "1e-3" if self.from_scratch else "1e-4"),
                "trials_per_job": "all",
                "options": options,
            },
            "efficiency": {
                "reference": reference,
                "sequence_length": length,
                "labels": max(2, len(self.data.labels)),
            },
            "speed": {"sequence_length": length, "warmup_runs": 5, "timed_runs": 50},
        }

    @staticmethod
    def grid(epochs: int, rate: str) -> Section:
        return {"batch_size": [BATCH], "epochs": [epochs], "learning_rate": [rate]}

    @property
    def length(self) -> int:
        """Tokens that inputs may have: the first of LENGTHS that the longest example fits into, 256 for question answering.
        Never more than teacher and student can read."""
        if self.data.kind == "question_answering":
            return min(256, self._positions)
        longest = max(self.lengths.tokens)
        return min(next((length for length in LENGTHS if longest <= length), LENGTHS[-1]), self._positions)

    @cached_property
    def lengths(self) -> Lengths:
        """Of all examples: counted where the teacher is local and has a tokenizer.json, else guessed; the windows of questions need none."""
        examples = [example for loaded in self.splits.values() for example in loaded.examples]
        model = Path(self.teacher.place)
        can_count = self.teacher.kind == "local" and (model / "tokenizer.json").is_file()
        if can_count and self.data.kind != "question_answering":
            return Lengths.counted(examples, model)
        return Lengths.guessed(examples)

    @property
    def _positions(self) -> int:
        """Tokens that both teacher and student can read; models from scratch are made for what is asked."""
        if self.from_scratch:
            return LENGTHS[-1]
        teachers = self.teacher.shape("--teacher").positions
        if isinstance(self.student, int):
            return teachers
        return min(teachers, self.student.shape("--student").positions)

    @property
    def epochs(self) -> int:
        """Of fine-tuning: about 600 steps, at least 3 passes and at most 12; the best epoch by validation loss is kept."""
        examples = len(self.splits["train"].examples)
        return min(12, max(3, round(600 * BATCH / examples)))

    def models(self) -> tuple[str, dict[str, Section]]:
        """Id of the teacher, and the models that are fine-tuned: the teacher and, where it has weights of its own, the student."""
        if self.from_scratch:
            recipe: Section = {
                "objective": "mlm", "optimizer": "adamw", "learning_rate": "3e-3", "batch_size": 16, "warmup_steps": 30,
                "total_steps": 200, "sequence_length": 64, "max_ngram": 1, "masked_share": 0.2, "embedding_initializer_range": 0.1,
                "micro_batch_size": 16, "checkpoint_every": 100, "validate_every": 100,
            }  # fmt: skip
            shape: Section = {
                "max_position_embeddings": self.length,
                "dropout": 0.0,
                "num_attention_heads": 4,
                "num_hidden_layers": 2,
            }
            teacher: Section = {"type": "bert", "hidden_size": 128, "intermediate_size": 256, **shape}
            student: Section = {
                "type": "albert",
                "hidden_size": 64,
                "intermediate_size": 128,
                "embedding_size": 64,
                **shape,
            }
            made: Section = {"tokenizer": "words", "pretraining": recipe}
            return "teacher", {
                "teacher": {"architecture": teacher, **made},
                "student": {"architecture": student, **made},
            }
        models = {self.teacher.id: _of_others(self.teacher)}
        if isinstance(self.student, Weights):
            models[self.student_id] = _of_others(self.student)
        return self.teacher.id, models

    @property
    def student_id(self) -> str:
        """Id of the student's model, another one than the teacher's."""
        assert isinstance(self.student, Weights)
        return self.student.id if self.student.id != self.teacher.id else f"{self.student.id}-student"

    def students(self) -> dict[str, Section]:
        """The students: one, or with a budget one of each depth, halved down to one layer."""
        if isinstance(self.student, int):
            depths = _halved(self.student) if self.family else [self.student]
            return {
                f"{self.teacher.id}-{depth}": {"initial": self.teacher.id, "num_hidden_layers": depth}
                for depth in depths
            }
        if not self.family:
            return {"student" if self.from_scratch else self.student_id: {}}
        initial, whole = "student", 2
        if not self.from_scratch:
            initial = self.student_id
            whole = self.student.shape("--student").layers
        first, *others = _halved(whole)
        return {initial: {}} | {
            f"{initial}-{depth}": {"initial": initial, "num_hidden_layers": depth}
            for depth in others
            if depth < first
        }


def _halved(layers: int) -> list[int]:
    depths = [layers]
    while depths[-1] > 1:
        depths.append(depths[-1] // 2)
    return depths


def _of_others(weights: Weights) -> Section:
    return {"hub": {"id": weights.place}} if weights.kind == "hub" else {"local": weights.place}


def written(config: Section, head: Sequence[str]) -> str:
    """A configuration as YAML to read and edit.

    Args:
        head: lines of comment above it; an argument may hold a line break.
    """

    class Dumper(yaml.SafeDumper):
        pass

    def represent_list(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.Node:
        return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)

    def represent_mapping(dumper: yaml.SafeDumper, value: Section) -> yaml.Node:
        flat = all(not isinstance(item, dict) for item in value.values())
        return dumper.represent_mapping(
            "tag:yaml.org,2002:map", value, flow_style=flat and len(str(value)) < 1000 and bool(value)
        )

    Dumper.add_representer(list, represent_list)
    Dumper.add_representer(dict, represent_mapping)
    Dumper.ignore_aliases = lambda self, data: True  # type: ignore[method-assign]
    simple = [
        yaml.dump({key: value}, Dumper=Dumper) for key, value in config.items() if not isinstance(value, dict)
    ]
    sections = [_block({key: value}, Dumper) for key, value in config.items() if isinstance(value, dict)]
    return "\n".join(
        [
            *(f"# {line}" for one in head for line in one.splitlines()),
            "".join(line[1:-2] + "\n" for line in simple) + "".join(sections),
        ]
    )


def _block(section: Section, dumper: type[yaml.SafeDumper]) -> str:
    text: str = yaml.dump(
        section, Dumper=dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None
    )
    return text[1:-2] + "\n" if text.startswith("{") else text
