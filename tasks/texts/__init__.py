"""Texts of a user: normalisation, templates and pooling."""
