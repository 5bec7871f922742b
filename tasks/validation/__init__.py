"""Runs the expectations: one Polars pass per bucket, then Great Expectations on what it counted."""
