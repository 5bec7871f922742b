"""rollback: the previous champion back in one step; it needs neither data nor MLflow."""

from prefect import flow

from flows.naming import called
from schemas.config import LedgerConfig
from schemas.runs import Decided
from tasks.rollback import rollback as go_back
from tasks.stores import pointer
from tasks.stores.home import home, made
from tasks.stores.ledger import Ledger


@flow(name="rollback", flow_run_name=called("rollback {segmentation}"))
def rollback(segmentation: str, author: str, reason: str, ledger: LedgerConfig | None = None) -> Decided:
    """Makes the previous champion live again, with the tables that were published with it.

    Args:
        segmentation: Name of the segmentation.
        author: Who rolls back; recorded.
        reason: Why; recorded.
        ledger: Where MLflow is; none: SQLite under the state folder.
    """
    books = Ledger(ledger or LedgerConfig(), made(), segmentation)
    return go_back(pointer.read(home(), segmentation).revision, author, reason, home(), books)
