"""Great Expectations suites, one file per table."""
