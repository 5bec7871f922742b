"""What columns of families count; and policies of input columns, such as users.age, as those of feature columns."""

from collections.abc import Mapping
from typing import Any, TypeVar

from schemas.artifacts import Fitted
from schemas.config import MissingPolicy, OutlierPolicy
from tasks.disk.artifacts import load_facts

Policy = TypeVar("Policy", MissingPolicy, OutlierPolicy)


def by_output(policies: Mapping[str, Policy], features: Mapping[str, Fitted]) -> dict[str, Policy]:
    """The policies, and each `table.column` also as `family.output` of every output made of that column.

    Args:
        policies: By `table.column`, or by `family.output` or `output`, which is more telling.
        features: Families by kind; what an output is made of stands in `State.meta["sources"]`.
    """
    made = dict(policies)
    for kind, fitted in features.items() if policies else ():
        meta = load_facts(fitted.state)
        for output, source in meta.get("sources", {}).items():
            if source in policies and not {output, f"{kind}.{output}"} & policies.keys():
                made[f"{kind}.{output}"] = _in_unit(policies[source], output, meta)
    return made


def counted_by(features: Mapping[str, Fitted]) -> dict[str, float]:
    """`family.column` -> how much it counts in its family's block, of families whose state says so."""
    told = ((kind, load_facts(fitted.state).get("weights", {})) for kind, fitted in features.items())
    return {f"{kind}.{name}": weight for kind, weights in told for name, weight in weights.items()}


def _in_unit(policy: Policy, output: str, meta: Mapping[str, Any]) -> Policy:
    """The policy with its constant, which is in the input's unit, in the output's."""
    from tasks.features.attributes import in_unit

    if not isinstance(policy, MissingPolicy):
        return policy
    constant = in_unit(policy.constant, output, meta)
    return policy if constant is None else policy.model_copy(update={"constant": constant})
