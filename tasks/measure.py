"""measure: the model that would go live, beside what readers have today, as the gates see them."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.registry import gate_input

measure = task(name="measure", cache_policy=NO_CACHE)(gate_input.of_outcome)
measure_again = task(name="measure again", cache_policy=NO_CACHE)(gate_input.of_recalled)
