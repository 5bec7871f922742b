"""A source's rows become buckets of users: read, cleaned, cut by a hash, screened, and only what is new of them."""
