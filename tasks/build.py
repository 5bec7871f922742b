"""build: the chosen candidate as a model that can assign, and everybody assigned by it."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.registry import built

build = task(name="build", cache_policy=NO_CACHE)(built.build)
