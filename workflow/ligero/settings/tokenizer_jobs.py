"""What the measuring of vocabularies depends on."""

from __future__ import annotations

from ligero.settings import jobs
from ligero.settings.base import Identifier, Settings
from ligero.settings.study import Study


class VocabulariesJob(Settings):
    """Vocabularies, and the texts that they are tried on."""

    vocabularies: tuple[Identifier, ...]
    tasks: tuple[Identifier, ...]
    """Of each the test split."""
    held_out: bool
    """Whether there is a corpus, whose held-out documents come first."""


def vocabularies(study: Study) -> list[str]:
    """Ids of the vocabularies of all models that are run, each once."""
    models = [model for model in study.models if model not in study.left_out]
    return list(dict.fromkeys(jobs.tokenizer_of(study, model) for model in models))


def vocabularies_job(study: Study) -> VocabulariesJob:
    return VocabulariesJob(
        vocabularies=tuple(vocabularies(study)), tasks=tuple(study.tasks), held_out=study.reads_corpus
    )
