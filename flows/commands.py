"""The commands that are no flow. Each returns what is to be told; libraries are imported inside, when it runs."""

from typing import TYPE_CHECKING, Annotated

import typer

from flows.options import Config, Overrides
from schemas.errors import FenqunError, Refused
from tasks.health.served import MLFLOW, PORTS, PREFECT
from tasks.stores.home import home

if TYPE_CHECKING:
    from schemas.asked import Checked, Exported, Listed, Told
    from schemas.recommended import Suggestions

Segmentation = Annotated[str, typer.Option("--segmentation", metavar="NAME", help="Name of the segmentation.")]


def check(config: Config, overrides: Overrides = []) -> "Checked":  # noqa: B006  Typer reads it, nobody changes it
    """Validates a config, and tells what would become of the first rows of its source; nothing runs."""
    from flows.around import advice, looked_at, sampled
    from flows.config import load
    from schemas.asked import Checked

    loaded = load(config, overrides)
    parts = looked_at(loaded)
    if not parts:
        raise FenqunError(f"{config}: the source has nothing to read")
    sample = sampled(loaded)
    told = Checked(
        config=config, segmentation=loaded.segmentation, parts=parts, sample=sample, advice=advice(loaded, sample)
    )
    bound = loaded.validation.max_quarantined_share
    if worst := [one.table for one in told.sample if one.share_aside > bound]:
        why = f"more than {bound:.0%} of these rows of {worst[0]} would be set aside, which stops a run"
        raise Refused(f"{config}: {why}; mend the data or the source, or raise validation.max_quarantined_share", told)
    return told


def user(
    user: Annotated[str, typer.Argument(metavar="ID", help="The recommender's own id of the user.")],
    segmentation: Segmentation,
) -> "Told":
    """Tells a user's segment, confidence, reasons and history."""
    from tasks.registry import readers

    return readers.user(home(), segmentation, user)


def recommendations(
    user: Annotated[str, typer.Argument(metavar="ID", help="The recommender's own id of the user.")],
    segmentation: Segmentation,
) -> "Suggestions":
    """Tells what is recommended to a user, as published by `recommend`, and why."""
    from tasks.recommendations.readers import for_user

    return for_user(home(), segmentation, user)


def segments_list(segmentation: Segmentation) -> "Listed":
    """Lists the published segments: id, users, share of all users, name."""
    from tasks.registry import readers

    return readers.listed(home(), segmentation)


def segments_export(
    segmentation: Segmentation,
    output: Annotated[str, typer.Option("--output", metavar="FILE", help="A file that ends in .csv or .parquet.")],
    segment: Annotated[
        str | None,
        typer.Option("--segment", metavar="ID", help="Id of the segment, or `unassigned`; all users without it."),
    ] = None,
) -> "Exported":
    """Writes assignments as CSV or Parquet."""
    from tasks.registry import readers

    return readers.export_members(home(), segmentation, segment, output)


def _port(number: str | int) -> int:
    """A port's number, from a word or from the default."""
    if not str(number).isdigit() or not 0 < int(number) < 65536:
        raise typer.BadParameter(f"{number} is no port; give a number from 1 to 65535")
    return int(number)


def ui(
    prefect_port: Annotated[
        int, typer.Option("--prefect-port", metavar="PORT", parser=_port, help="Port of Prefect.")
    ] = PORTS[PREFECT],
    mlflow_port: Annotated[
        int, typer.Option("--mlflow-port", metavar="PORT", parser=_port, help="Port of MLflow.")
    ] = PORTS[MLFLOW],
) -> None:
    """Serves Prefect, MLflow and the deployments on loopback."""
    from flows.servers import serve

    serve(prefect_port, mlflow_port)


def serve(
    segmentation: Segmentation,
    version: Annotated[
        str | None, typer.Option("--version", metavar="N", help="Version of the model; what is live where not given.")
    ] = None,
    port: Annotated[int, typer.Option("--port", metavar="PORT", parser=_port, help="Port to answer on.")] = 5001,
) -> None:
    """Answers over HTTP which segment users belong to, on loopback."""
    from flows.scoring import serve_model
    from tasks.stores.home import made

    made()
    serve_model(segmentation, version, port)


def doctor(
    repair: Annotated[
        bool, typer.Option("--repair", help="First bring back what is lost or damaged of the state, where that can be.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Tell it as one JSON document.")] = False,
) -> None:
    """Looks at the installation, the machine, the state folder and the servers, and says what to do about the rest."""
    from flows import doctor

    if repair:
        for line in doctor.repaired(home()):
            typer.echo(line, err=as_json)
    doctor.doctor(home(), as_json)
