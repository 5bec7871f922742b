"""Search space and choice."""
