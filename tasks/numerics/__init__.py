"""Arithmetic that several nouns share."""
