"""Jobs on the corpus."""

from __future__ import annotations

from ligero.settings.corpus import Corpus
from ligero.settings.jobs.base import Job
from ligero.settings.study import Study


class CleaningJob(Job):
    """Clean the corpus and hold out documents for validation."""

    corpus: Corpus
    """All of it: parts in their order too, since the text is written and repetitions are dropped in that order."""


def cleaning_job(study: Study) -> CleaningJob:
    """The job of the whole section `corpus`: any of its settings cleans it again."""
    assert study.corpus
    return CleaningJob(corpus=study.corpus)
