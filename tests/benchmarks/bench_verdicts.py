"""Are the verdicts right where segments truly matter and where they truly do not? Whole retrains of synthetic shops.

In half of the shops users choose by the segment that was planted for them; in the other half all choose alike, and
whatever segments are found are chance. Of a shop the verdict of the whole and those of its segments are told, on
everyone's last fifth.

Run: python -m tests.benchmarks.bench_verdicts [seeds]
"""

import sys
from collections import Counter
from pathlib import Path

import pytest

from flows.config import parse
from schemas.yardsticks import SEGMENTS, Yardsticks
from tasks.yardsticks.sides import FILE
from tests.benchmarks._flows import served
from tests.helpers.shops import NAME, SETTINGS

SHOP = {"kind": "synthetic", "users": 600, "segments": 5, "items": 200, "events_per_user": 30, "texts_per_user": 0,
        "edges_per_user": 0}  # fmt: skip
MATTERS = {"strength": 0.8, "signals": ["interest"]}
IDLE = {"strength": 0.0, "signals": ["interest"]}
POPULAR = {"yardsticks": [{"kind": "global_popularity"}], "by_date": False}


def verdict(place: Path, seed: int, planted: dict) -> Yardsticks:
    """What a retrain of a shop found beside popularity."""
    from flows.retrain import retrain

    config = {
        **SETTINGS, "source": {**SHOP, **planted, "seed": seed}, "seed": seed,
        "evaluate": {**SETTINGS["evaluate"], **POPULAR},
        "features": [{"kind": "interest"}, {"kind": "collaborative", "dimensions": 8}],
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FENQUN_HOME", str(place))
        retrain(parse(config, NAME))
    (found,) = place.glob(f"artifacts/yardsticks/*/{FILE}")
    return Yardsticks.model_validate_json(found.read_text(encoding="utf-8"))


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with served() as home:
        for name, planted in (("matter", MATTERS), ("do not matter", IDLE)):
            whole, each = Counter(), Counter()
            for seed in range(seeds):
                found = verdict(Path(home) / name / str(seed), seed, planted)
                whole[found.way(SEGMENTS).against.saying] += 1
                each.update(one.saying for one in found.segments.values())
            print(f"segments {name}, {seeds} shops: {dict(whole)}; their segments: {dict(each)}", flush=True)


if __name__ == "__main__":
    main()
