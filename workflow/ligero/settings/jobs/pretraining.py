"""Jobs that make pretrained weights: pretraining, and the fetching or copying of the weights of others."""

from __future__ import annotations

from pathlib import Path

from ligero.settings.base import Identifier
from ligero.settings.jobs.base import Job
from ligero.settings.models import Architecture, HubModel
from ligero.settings.pretraining import Pretraining
from ligero.settings.study import Study
from ligero.settings.tokenizers import Tokenizer


class PretrainingJob(Job):
    """Pretrain one model."""

    model_id: Identifier
    architecture: Architecture
    recipe: Pretraining
    tokenizer: Tokenizer

    def determining(self) -> PretrainingJob:
        """The part of the job on which the weights of a run that does not diverge depend."""
        return self.model_copy(update={"recipe": self.recipe.determining_weights()})


def pretraining_job(study: Study, model_id: str) -> PretrainingJob:
    """The job of a model's pretraining: its shape, its recipe and its tokenizer's settings; the text itself is an input.

    Names, grids and the settings of fine-tuning are not part of it, and of the recipe only what affects the weights
    (`PretrainingJob.determining`).
    """
    model = study.models[model_id]
    assert model.pretraining and model.tokenizer
    return PretrainingJob(
        model_id=model_id,
        architecture=model.architecture,
        recipe=model.pretraining,
        tokenizer=study.tokenizers[model.tokenizer],
    )


class WeightsJob(Job):
    """Fetch or copy weights from the hub or a local folder, convert and check them."""

    model_id: Identifier
    architecture: Architecture
    weights: str
    hub: HubModel | None
    local: str | None
    lower_case: bool | None


def weights_job(study: Study, model_id: str) -> WeightsJob:
    """The job of a model with `weights: hub` or `local`; the files of a local folder are its inputs."""
    model = study.models[model_id]
    return WeightsJob(
        model_id=model_id,
        architecture=model.architecture,
        weights=model.weights,
        hub=model.hub,
        local=model.local,
        lower_case=model.lower_case,
    )


def local_files(study: Study, model_id: str) -> list[str]:
    """The files of a model's local folder, which are inputs of the rule that copies and checks it."""
    local = study.models[model_id].local if study.models[model_id].weights == "local" else None
    if not local:
        return []
    files = (path for path in Path(local).glob("*") if path.is_file())
    return sorted(str(path) for path in files if not path.name.startswith("."))
