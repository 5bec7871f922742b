"""What encoders that are learned from sequences are configured by."""

from typing import Literal

from pydantic import Field

from schemas.config import Positive, Section

Objective = Literal["next_item", "contrastive", "masked"]


class EncoderConfig(Section):
    """Fields that all of them share."""

    dimension: Positive = Field(64, description="length of a user's vector, and of everything inside")
    max_length: Positive = Field(50, description="newest events of a user that are read, and of a training window")
    min_item_users: Positive = Field(1, description="items of fewer users have no embedding of their own")
    dropout: float = Field(0.2, ge=0, lt=1, description="share of values dropped while training")
    item_dropout: float = Field(
        0.1, ge=0, lt=1, description="share of items that a step knows by content alone, so that new ones have a place"
    )
    negatives: Positive = Field(256, description="items drawn for each batch that stand against the right one")
    negatives_power: float = Field(
        0.5, ge=0, le=1, description="they are drawn by popularity to this power, and scores corrected for it"
    )
    learning_rate: float = Field(1e-3, gt=0, description="of Adam")
    weight_decay: float = Field(0.0, ge=0, description="of AdamW")
    clip: float = Field(1.0, gt=0, description="length to which longer gradients are cut")
    batch_size: Positive = Field(128, description="windows of a step")
    epochs: int = Field(40, ge=0, description="times that everything is read at most")
    patience: Positive = Field(4, description="epochs without a better validation after which training ends")
    warm: bool = Field(True, description="start from the live model's encoder, and turn vectors into its space")
    validation_users: Positive = Field(
        4096, description="users, at most, whose newest event is kept out of training and validates it"
    )


class SequenceConfig(EncoderConfig):
    """Fields of those that read events in order."""

    objective: Objective = Field(
        "next_item",
        description="what is learned: the next item, that two slices of one history belong together, or masked items",
    )
    temperature: float = Field(0.1, gt=0, description="contrastive: what cosines are divided by")
    mask_share: float = Field(0.2, gt=0, lt=1, description="masked: share of a window's items that are hidden")
