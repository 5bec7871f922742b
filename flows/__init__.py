"""Flows: tables of contents over the verbs."""
