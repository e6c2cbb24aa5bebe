"""Jobs on the corpus."""

from __future__ import annotations

from ligero.settings.corpus import Corpus
from ligero.settings.jobs.base import Job
from ligero.settings.study import Study


class CleaningJob(Job):
    corpus: Corpus
    """All of it: parts in their order too, since the text is written and repetitions are dropped in that order."""


def cleaning_job(study: Study) -> CleaningJob:
    assert study.corpus
    return CleaningJob(corpus=study.corpus)
