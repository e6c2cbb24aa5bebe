"""What all jobs have in common: the digest by which the workflow knows what to run again."""

from __future__ import annotations

from ligero.common.hashing import digest_value
from ligero.settings.base import Settings
from ligero.settings.sources import Source


class Job(Settings):
    """Everything that one job of the workflow reads of the configuration."""

    def determining(self) -> Settings:
        """The part of it on which the job's result depends: all of it, unless a kind of job says otherwise."""
        return self


class Credit(Settings):
    """To whom a source's file is owed."""

    licence: str
    citation: str

    @classmethod
    def of(cls, source: Source) -> Credit:
        return cls(licence=source.licence, citation=source.citation)


def digest(job: Settings) -> str:
    """16 hexadecimal digits over everything in a job that its result depends on."""
    determining = job.determining() if isinstance(job, Job) else job
    return digest_value(determining.model_dump(mode="json"))
