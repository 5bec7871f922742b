"""A fitted model: on disk, in memory, and on today's data."""
