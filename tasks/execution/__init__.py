"""Where the work is done: threads, or Dask workers here or elsewhere."""
