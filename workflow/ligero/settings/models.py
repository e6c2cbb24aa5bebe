"""Settings of the systems: architecture, vocabulary, where the weights come from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ligero.settings.base import Identifier, Settings, UserPath
from ligero.settings.pretraining import Pretraining
from ligero.settings.training import GridOverride


def usable_positions(model_type: str, position_embeddings: int, pad_token_id: int = 1) -> int:
    """Tokens that a model can read, special ones included.

    RoBERTa numbers positions from its padding id + 1 on (Liu et al. 2019; fairseq): of 514 it uses 512.
    """
    return position_embeddings - (pad_token_id + 1 if model_type == "roberta" else 0)


class Architecture(Settings):
    """The numbers that make a transformer encoder, under the names of transformers' configuration classes."""

    type: Literal["albert", "bert", "roberta", "distilbert"]
    """Family."""
    vocab_size: int | None = Field(None, ge=1)
    """Rows of the embedding matrix; null takes the size of the model's vocabulary."""
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
    """Rows of the position embeddings; RoBERTa reads two tokens less."""
    type_vocab_size: int = Field(2, ge=1)
    """Segments that inputs may have."""
    hidden_act: str | None = None
    """Activation; null takes the architecture's own (gelu_new for ALBERT, gelu elsewhere)."""
    dropout: float | None = Field(None, ge=0.0, lt=1.0)
    """Hidden and attention dropout; null takes the architecture's own."""

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


class HubModel(Settings):
    """A checkpoint on the Hugging Face hub."""

    id: str
    """OWNER/NAME of the repository."""
    revision: str | None = None
    """Commit to fetch; null takes the newest at the first download, and what the lock file then recorded ever after."""
    aliases: tuple[str, ...] = ()
    """Older names of the same repository, tried in order."""
    licence: str = ""
    """Licence of the weights."""
    citation: str = ""
    """Whom to cite."""


class Model(Settings):
    """One system of the study."""

    name: str
    """Name in the tables."""
    architecture: Architecture
    """Size and family."""
    weights: Literal["pretrain", "hub", "local"]
    """Where the weights come from: trained here, the hub, or a folder."""
    tokenizer: Identifier | None = None
    """Vocabulary trained here; required for weights 'pretrain', elsewhere the checkpoint brings its own."""
    pretraining: Pretraining | None = None
    """Recipe, for weights 'pretrain'; it may stay where other weights are taken."""
    hub: HubModel | None = None
    """The checkpoint, for weights 'hub'."""
    local: UserPath | None = None
    """Folder with config.json, model.safetensors and tokenizer files."""
    grid: GridOverride = GridOverride()
    """Parts of the fine-tuning grid that this model replaces."""
    head_learning_rate_factor: float | None = Field(None, gt=0.0)
    """Overrides the option of the same name for this model."""
    lower_case: bool | None = None
    """For weights of others: set it where the checkpoint's tokenizer configuration is wrong."""

    @model_validator(mode="after")
    def _has_its_weights(self) -> Model:
        needed = {"pretrain": "pretraining", "hub": "hub", "local": "local"}[self.weights]
        if getattr(self, needed) is None:
            raise ValueError(f"weights: {self.weights} needs the key '{needed}'")
        for other in ("hub", "local"):
            if other != self.weights and getattr(self, other) is not None:
                raise ValueError(
                    f"weights: {self.weights} does not read the key '{other}'; remove it, or write weights: {other}"
                )
        if self.weights == "pretrain" and self.lower_case is not None:
            raise ValueError(
                "lower_case is for weights of others; a vocabulary trained here has tokenizers.ID.lower_case"
            )
        if self.weights == "pretrain" and self.tokenizer is None:
            raise ValueError("weights: pretrain needs the key 'tokenizer'")
        if self.weights != "pretrain" and self.tokenizer is not None:
            raise ValueError(f"weights: {self.weights} brings its own vocabulary; remove the key 'tokenizer'")
        if (
            self.pretraining
            and self.pretraining.objective == "mlm_sop"
            and self.architecture.type != "albert"
        ):
            raise ValueError("objective mlm_sop is ALBERT's; write objective: mlm")
        return self

    def determining_weights(self) -> Model:
        """The model without its name and grid (a trial holds its point) and without what changes no pretrained weight."""
        recipe = self.pretraining.determining_weights() if self.pretraining else None
        grid = type(self).model_fields["grid"].default
        return self.model_copy(update={"name": "", "grid": grid, "pretraining": recipe})
