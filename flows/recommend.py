"""recommend: the best items for each segment and, if asked for, each user; nothing of the model is fitted."""

from prefect import flow

from flows.config import RetrainConfig
from flows.naming import called
from flows.steps import opened
from schemas.recommended import Recommended
from tasks.ingest import ingest
from tasks.recommend import publish, recommend_nothing
from tasks.recommend import recommend as rank
from tasks.validate import validate


@flow(name="recommend", flow_run_name=called("recommend {config.segmentation}"))
def recommend(config: RetrainConfig) -> Recommended:
    """Ranks items for each published segment by today's choices, and publishes the lists with the live model.

    Args:
        config: The segmentation's config, as for retrain; `recommend` says what is recommended to whom, and
            `evaluate.events` which events are choices. Where `evaluate.lift` is off nothing is recommended.
    """
    with opened(config, "recommend") as book:
        if not config.evaluate.lift:
            return recommend_nothing(book)
        day = ingest(book)
        validate(day, "raw", day.landed.everything())
        lists = rank(day)
        validate(day, "recommended", lists.tables())
        return publish(day, lists)
