"""A version is built, judged, made live and taken back; and what readers ask of it."""
