"""What touches disk, Dask and MLflow."""
