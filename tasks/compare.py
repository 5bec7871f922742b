"""compare: ways to recommend on the same held-out events, the segments among them."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.yardsticks import sides

compare = task(name="compare", cache_policy=NO_CACHE)(sides.by_user)
train = task(name="train as of a date", cache_policy=NO_CACHE)(sides.trained_at)
compare_by_date = task(name="compare by date", cache_policy=NO_CACHE)(sides.by_date)
