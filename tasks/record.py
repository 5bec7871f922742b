"""record: what a run was made of goes into the ledger: config, data, texts, environment, segments."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.reporting import records

record = task(name="record", retries=2, retry_delay_seconds=5, cache_policy=NO_CACHE)(records.record)
