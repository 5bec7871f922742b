"""Change between two dates."""
