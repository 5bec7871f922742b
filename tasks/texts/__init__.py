"""Which texts speak for a user, and their weighted mean."""
