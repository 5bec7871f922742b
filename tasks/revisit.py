"""revisit: the champion on today's data, so that numbers from another day are never compared."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.models import today

revisit = task(name="revisit", cache_policy=NO_CACHE)(today.revisit)
