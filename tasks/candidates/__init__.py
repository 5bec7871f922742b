"""Candidates compete; one is chosen, and proven on held-out events."""
