"""Jobs on tokenizers: the measurement of how well they fit the texts. (A tokenizer's own settings are its training's job.)"""

from __future__ import annotations

from ligero.settings.base import Identifier
from ligero.settings.jobs.base import Job
from ligero.settings.plan import tokenizers_in_use
from ligero.settings.study import Study


class TokenizersJob(Job):
    """Tokenizers, and the texts that they are tried on."""

    tokenizers: tuple[Identifier, ...]
    tasks: tuple[Identifier, ...]
    """Of each the test split."""
    held_out: bool
    """Whether there is a corpus, whose held-out documents come first."""


def tokenizers_job(study: Study) -> TokenizersJob:
    """The job of the measurement of all tokenizers in use; what they and the texts contain are its inputs."""
    return TokenizersJob(
        tokenizers=tuple(tokenizers_in_use(study)), tasks=tuple(study.tasks), held_out=study.reads_corpus
    )
