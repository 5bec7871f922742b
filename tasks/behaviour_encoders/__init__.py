"""Encoders learned from behaviour, one file each: what a user did, in order, as a vector."""
