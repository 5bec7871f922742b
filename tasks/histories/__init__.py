"""The histories that a recommender learned from, kept beside its lists, so that the same is learned again online."""
