"""identify: which segment is which of the champion's; ids are kept or new, never reused."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.candidates.lineage import lineage_of

identify = task(name="identify", cache_policy=NO_CACHE)(lineage_of)
