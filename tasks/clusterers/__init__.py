"""One file per clustering algorithm."""
