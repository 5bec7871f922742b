"""From feature blocks to one vector per user."""
