"""What users did, in order, over buckets: encoders of behaviour are trained on it, and read it."""
