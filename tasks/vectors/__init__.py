"""Buckets become one vector per user, of all of a history or of its first part."""
