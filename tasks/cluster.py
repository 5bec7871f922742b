"""cluster: one candidate, fitted on all data and, under several seeds, on the slice that candidates are compared on."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.candidates.attempt import attempt

cluster = task(name="cluster", task_run_name="cluster {candidate.name}", cache_policy=NO_CACHE)(attempt)
