"""Settings of the systems: architecture, vocabulary, where the weights come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from ligero.settings.base import Identifier, Name, Settings, UserPath, switched_off
from ligero.settings.distillation import InitialLayers
from ligero.settings.pretraining import Pretraining, StateTeacher
from ligero.settings.training import GridOverride


def usable_positions(model_type: str, position_embeddings: int, pad_token_id: int = 1) -> int:
    """Tokens that a model can read, special ones included.

    RoBERTa numbers positions from its padding id + 1 on (Liu et al. 2019; fairseq): of 514 it uses 512.
    """
    return position_embeddings - (pad_token_id + 1 if model_type == "roberta" else 0)


def no_early_exit(model_type: str, layers: int) -> str:
    """Why a model of such an architecture cannot leave early; empty where it can."""
    if model_type != "albert":
        return "early_exit is for ALBERT, which repeats one layer; remove the key"
    return "early_exit requires at least 2 layers; remove the key" if layers < 2 else ""


Activation = Literal["gelu", "gelu_new", "gelu_pytorch_tanh", "relu"]
"""Those that transformers computes and an exported graph too."""


class Architecture(Settings):
    """The shape of a transformer encoder, with the names of transformers' configuration classes."""

    type: Literal["albert", "bert", "roberta", "distilbert"]
    """Family."""
    vocab_size: int | None = Field(None, ge=1)
    """Rows of the embedding matrix; null means the size of the model's vocabulary."""
    hidden_size: int = Field(ge=1)
    """Width of the layers; a multiple of the number of heads."""
    num_hidden_layers: int = Field(ge=1)
    """Layers (ALBERT's share one set of weights)."""
    num_attention_heads: int = Field(ge=1)
    """Attention heads of a layer."""
    intermediate_size: int = Field(ge=1)
    """Width of the feed-forward part."""
    embedding_size: int | None = Field(None, ge=1)
    """Factorised embedding (ALBERT only)."""
    max_position_embeddings: int = Field(512, ge=8)
    """Rows of the position embeddings; RoBERTa can read two tokens fewer."""
    type_vocab_size: int = Field(2, ge=1)
    """Segments that inputs may have."""
    hidden_act: Activation | None = None
    """Activation; null means the checkpoint's, or the architecture's default (gelu_new for ALBERT, gelu otherwise)."""
    dropout: float | None = Field(None, ge=0.0, lt=1.0)
    """Dropout probability of hidden states and attention; null means the checkpoint's, or the architecture's default."""

    @property
    def longest_input(self) -> int:
        """In tokens."""
        return usable_positions(self.type, self.max_position_embeddings)

    @model_validator(mode="after")
    def _heads_divide(self) -> Architecture:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} must be a multiple of num_attention_heads {self.num_attention_heads}"
            )
        if self.embedding_size is not None and self.type != "albert":
            raise ValueError("embedding_size is ALBERT's factorised embedding; remove it for other types")
        return self


Repository = Annotated[str, StringConstraints(pattern=r"^\w[\w.-]*(/\w[\w.-]*)?$")]
"""OWNER/NAME, or NAME alone for the oldest ones."""


class HubModel(Settings):
    """A checkpoint on the Hugging Face hub."""

    id: Repository
    """OWNER/NAME of the repository."""
    revision: str | None = Field(None, min_length=1)
    """Commit to fetch; null means the latest at the first download, which the lock file then pins."""
    aliases: tuple[Repository, ...] = ()
    """Former names of the same repository, tried in order."""
    licence: str = ""
    """Licence of the weights."""
    citation: str = ""
    """Reference to cite."""


class Model(Settings):
    """One system of the study."""

    name: Name
    """Name in the tables."""
    architecture: Architecture
    """Size and family."""
    weights: Literal["pretrain", "hub", "local"]
    """Where the weights come from: pretrained here, the Hugging Face hub, or a local folder."""
    tokenizer: Identifier | None = None
    """Id of a tokenizer trained here; required for `weights: pretrain`. Other checkpoints bring their own."""
    pretraining: Pretraining | None = None
    """Recipe, for `weights: pretrain`; ignored, and allowed, for other weights."""
    hub: HubModel | None = None
    """The checkpoint, for `weights: hub`."""
    local: UserPath | None = None
    """Folder with config.json, model.safetensors and tokenizer files."""
    grid: GridOverride = GridOverride()
    """Parts of the fine-tuning grid that this model replaces."""
    head_learning_rate_factor: float | None = Field(None, gt=0.0)
    """Overrides the option of the same name for this model."""
    initial_layers: InitialLayers | None = None
    """For `hub` and `local`: keep only `architecture.num_hidden_layers` of the checkpoint's layers, evenly spaced, the first or the last,
    as students do; null refuses a checkpoint with another number. A student that starts from such a model has it as its fine-tuned twin."""
    lower_case: bool | None = None
    """For `hub` and `local`: set this if the checkpoint's tokenizer configuration is wrong."""
    early_exit: bool = Field(False, exclude_if=switched_off)
    """ALBERT only, beyond the thesis: fine-tune the head to read what every repetition of the layer makes, not only the last, and
    export a graph that reads a text no deeper than it takes to be certain."""

    @property
    def state_teacher(self) -> StateTeacher | None:
        """Whose hidden states the model is pretrained on, if it is."""
        return self.pretraining.teacher if self.weights == "pretrain" and self.pretraining else None

    @model_validator(mode="after")
    def _has_its_weights(self) -> Model:
        needed = {"pretrain": "pretraining", "hub": "hub", "local": "local"}[self.weights]
        if getattr(self, needed) is None:
            raise ValueError(f"weights: {self.weights} needs the key '{needed}'")
        for other in ("hub", "local"):
            if other != self.weights and getattr(self, other) is not None:
                raise ValueError(
                    f"weights: {self.weights} does not use the key '{other}'; remove it, or write weights: {other}"
                )
        if self.weights == "pretrain" and self.lower_case is not None:
            raise ValueError(
                "lower_case is for hub and local weights; for a tokenizer trained here, set tokenizers.ID.lower_case"
            )
        if self.weights == "pretrain" and self.initial_layers is not None:
            raise ValueError(
                "initial_layers is for hub and local weights; a model pretrained here has the layers it is given"
            )
        if self.weights == "pretrain" and self.tokenizer is None:
            raise ValueError("weights: pretrain needs the key 'tokenizer'")
        if self.weights != "pretrain" and self.tokenizer is not None:
            raise ValueError(f"weights: {self.weights} brings its own tokenizer; remove the key 'tokenizer'")
        if self.early_exit and (
            reason := no_early_exit(self.architecture.type, self.architecture.num_hidden_layers)
        ):
            raise ValueError(reason)
        if (
            self.pretraining
            and self.pretraining.objective == "mlm_sop"
            and self.architecture.type != "albert"
        ):
            raise ValueError("objective mlm_sop is ALBERT's; write objective: mlm")
        if self.pretraining and self.pretraining.shallow_steps:
            self._may_be_shallow(self.pretraining.shallow_layers)
        return self

    def _may_be_shallow(self, layers: int) -> None:
        if self.architecture.type != "albert":
            raise ValueError("shallow_steps is for ALBERT, whose layers share their weights; leave it out")
        if layers >= self.architecture.num_hidden_layers:
            raise ValueError(
                f"shallow_layers {layers} must be below num_hidden_layers {self.architecture.num_hidden_layers}"
            )
