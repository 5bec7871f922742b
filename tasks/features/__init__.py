"""One file per feature family."""
