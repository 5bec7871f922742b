"""Verbs are files, nouns are folders."""
