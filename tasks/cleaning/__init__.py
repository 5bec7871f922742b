"""Row rules of ingest."""
