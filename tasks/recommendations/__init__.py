"""What is recommended to segments and users, and why; and what readers ask of it."""
