"""prove: what a recipe is worth on the last slice, beside popularity, random segments and 1:1."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.candidates import proof

prove = task(name="prove", cache_policy=NO_CACHE)(proof.prove)
