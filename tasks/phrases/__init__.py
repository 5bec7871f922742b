"""What a run tells people, in their language."""
