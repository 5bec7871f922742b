"""What MLflow's pages say of a segmentation: descriptions of its experiment and model, and a view of its runs.

A view is an experiment's tag that MLflow's pages write for *Save & share view* and read by the key in an address.
"""

import json

NOTE, VIEW = "mlflow.note.content", "fenqun"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
COLUMNS = (
    "params.`cluster.k`",
    "metrics.`heldout_lift`",
    "metrics.`stability`",
    "metrics.`silhouette.cosine`",
    "tags.`fenqun.outcome`",
    "tags.`fenqun.verdict`",
)
"""What the view's table shows of a run beside its name; a candidate has the first five, a retrain the last."""

_EXPERIMENT = """\
Runs of the segmentation **{name}**.

- A retrain is a run. The tag `fenqun.verdict` says whether its model is live (promoted) or not (refused), the tags
  `gate.*` why, and `fenqun.chosen` and `fenqun.reason` which candidate it is of. `quality.*` was measured on all data,
  `proof.*` on the last slice, which nothing had seen.
- Its candidates are nested runs: open the row of the retrain. `fenqun.outcome` says whether a candidate was chosen,
  refused (`fenqun.refused` says why) or neither.
- Silhouette, within-cluster squares, stability and held-out lift against k: the run's page, *Model metrics*, `by_k`.
- The saved view *{view}* shows of each run what it was decided by.
"""
_MODEL = """\
Segmentation **{name}**. A version is a model fitted on all of a retrain's data; its description has the names and sizes
of its segments, its tags the outcome of each gate. Identical content gets no new version.

- **What is live** is the version with the alias `champion`; `previous` was live before it.
- **Compare** two versions by their source runs: select both in the experiment {name}, then *Compare*.
- **Make one live**: `fenqun promote --segmentation {name} --version N`. The gates are asked; moving an alias
  here makes nothing live.
- **Roll back**: `fenqun rollback --segmentation {name} --author WHO --reason WHY`. It needs neither data nor MLflow.
"""


def of_experiment(name: str) -> str:
    """The description of a segmentation's experiment."""
    return _EXPERIMENT.format(name=name, view=VIEW)


def of_model(name: str) -> str:
    """The description of a segmentation's registered model: what a version is, how to compare and to roll back."""
    return _MODEL.format(name=name)


def earlier_of_model(name: str) -> str:
    """What earlier versions of fenqun wrote there, and nobody else."""
    return f"Segmentation {name}"


def view() -> str:
    """The view as MLflow's pages keep it: its name, and as JSON what differs from a page that nobody changed."""
    return json.dumps({"name": VIEW, "createdAt": 0, "state": json.dumps({"selectedColumns": COLUMNS})})
