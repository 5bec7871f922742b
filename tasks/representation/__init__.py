"""Represent: scaling, balance of blocks and reduction, from feature blocks to one vector per user."""

from tasks.representation.vectors import Blocks, Representation, fit, from_state

__all__ = ["Blocks", "Representation", "fit", "from_state"]
