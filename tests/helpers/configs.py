"""Configs of small planted data, on which a whole retrain takes seconds."""

SMALL = {
    "segmentation": "small",
    "source": {"kind": "synthetic", "users": 300, "segments": 4, "seed": 3},
    "ingest": {"buckets": 2},
    "features": [{"kind": "behaviour"}, {"kind": "interest"}],
    "texts": {},
    "encoder": {"kind": "hashing", "dimension": 32},
    "represent": {"dimension": 8},
    "search": {
        "candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [3, 4]}}, {"algorithm": {"kind": "dbscan"}}]
    },
    "evaluate": {"refits": 3, "bootstraps": 20, "random_draws": 2, "yardsticks": []},
    "calibration": {"folds": 2},
    "gates": {"min_segment_users": 5},
    "select": {"min_segment_users": 5},
}
QUICK = (
    "evaluate.refits=2",
    "evaluate.bootstraps=20",
    "evaluate.random_draws=2",
    "evaluate.yardsticks=[]",
    "calibration.folds=2",
    "ledger.log_figures=false",
)
"""What makes a retrain of any config quick, as `--set` takes it."""


def planted(moment: int, **change) -> dict:
    """Four planted interests at a moment; `change` is what the source plants between two moments."""
    source = {
        "kind": "synthetic",
        "users": 400,
        "segments": 4,
        "seed": 5,
        "moment": moment,
        "new_users": 0.05,
        **change,
    }
    grid = [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [3, 4, 5]}}]
    return {
        **SMALL, "segmentation": "planted", "source": source, "features": [{"kind": "interest"}], "texts": None,
        "search": {"candidates": grid}, "seed": 1 + moment,
        "validation": {"max_mean_shift": 50, "max_share_shift": 1.0},
        "gates": {"min_segment_users": 5, "max_churn": 0.5},
    }  # fmt: skip
