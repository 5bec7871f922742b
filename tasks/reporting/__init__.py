"""What a run tells people: segments, the record of the run, its page and the pictures."""
