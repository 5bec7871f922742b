"""Ranked lists of items: the best of many scores, how good they are, what they show, and their order mended."""
