"""Where a run's pages are."""

from pydantic import Field

from schemas.reports import Report


class Pages(Report):
    """Addresses of Prefect's and of MLflow's pages."""

    prefect: str
    mlflow: str
    closed: tuple[str, ...] = Field((), description="which of the two nothing served then: `make ui` does")
