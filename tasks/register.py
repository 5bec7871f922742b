"""register: the built model as a version in the ledger, with everything that explains it."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.registry import published, version

register = task(name="register", retries=2, retry_delay_seconds=5, cache_policy=NO_CACHE)(version.register_model)
draft = task(name="draft", cache_policy=NO_CACHE)(published.publication)
