"""Ways to recommend are measured side by side on held-out events, the segments among them."""
