"""Names through whole retrains: no code stands in one, and one that says nothing is warned of where people look."""

import asyncio
import uuid
from pathlib import Path

import numpy as np
import pytest
import yaml

from flows.config import load
from flows.telling import words
from tests.helpers.configs import QUICK

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_harness")]

USERS, GROUPS = 160, 4
CODES = [str(uuid.UUID(int=(number + 7) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)) for number in range(GROUPS)]
CHANNELS = ("app", "web", "store", "partner")


def retrained(folder: Path, users: dict[str, tuple[str, ...]], language: str = "en"):
    """A quick retrain of four groups of users that nothing but the columns of `users` tells apart."""
    from flows.retrain import retrain

    rng = np.random.default_rng(0)
    rows = [",".join([f"u{user}", *(told[user % GROUPS] for told in users.values())]) for user in range(USERS)]
    (folder / "users.csv").write_text("\n".join([",".join(["user_id", *users]), *rows]) + "\n")
    seen = [f"u{user},i{rng.integers(40)},2025-01-{day:02}" for user in range(USERS) for day in range(1, 8)]
    (folder / "events.csv").write_text("\n".join(["user_id,item_id,timestamp", *seen]) + "\n")
    tables = {name: {"path": f"{name}.csv"} for name in ("users", "events")}
    config = {
        "segmentation": "given", "source": {"kind": "tables", "root": str(folder)} | tables,
        "features": [{"kind": "attributes"}], "describe": {"language": language},
        "search": {"candidates": [{"algorithm": {"kind": "kmeans"}, "grid": {"k": [GROUPS]}}]},
    }  # fmt: skip
    (folder / "given.yaml").write_text(yaml.safe_dump(config))
    return retrain(load(folder / "given.yaml", QUICK))


def summary(run: str) -> str:
    """The artifact of that key, as Prefect shows it."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

    async def read():
        async with get_client() as client:
            found = ArtifactFilter(key=ArtifactFilterKey(any_=["summary"]))
            return await client.read_artifacts(artifact_filter=found)

    return str(next(one.data for one in asyncio.run(read()) if str(one.flow_run_id) == run))


def test_segments_that_only_codes_tell_apart_are_warned_of(home, tmp_path):
    told = retrained(tmp_path, {"cohort": tuple(CODES)})
    assert {profile.name for profile in told.profiles} == {f"No clear profile (s{n:03})" for n in range(1, GROUPS + 1)}
    assert all(profile.claims for profile in told.profiles), "evidence there is"
    head = "4 of 4 segments have no clear profile: "
    assert head in Path(told.report).read_text().partition('id="segments"')[0]
    lines = list(words(told))
    assert any(line.startswith(f"warning   {head}") and "titles of items" in line for line in lines)
    assert sum("⚠ No clear profile" in line for line in lines) == GROUPS
    assert f"⚠ **{head}" in summary(told.prefect_run)


def test_codes_stand_in_no_name_where_words_are_at_hand(home, tmp_path):
    told = retrained(tmp_path, {"cohort": tuple(CODES), "signup_channel": CHANNELS}, "zh")
    assert {profile.name for profile in told.profiles} == {f"signup channel: {channel}" for channel in CHANNELS}
    assert told.warning is None
    assert not any("⚠" in line for line in words(told))


def test_a_name_with_a_code_that_an_earlier_version_gave_is_not_kept(home, tmp_path, monkeypatch):
    attributes = {"cohort": tuple(CODES), "signup_channel": CHANNELS}
    for module in ("names", "profiles"):
        monkeypatch.setattr(f"tasks.segments.{module}.speaks", lambda text: True)
    before = retrained(tmp_path, attributes)
    assert any(code[:8] in profile.name for profile in before.profiles for code in CODES)
    monkeypatch.undo()
    monkeypatch.setenv("FENQUN_HOME", str(home))
    after = retrained(tmp_path, attributes)
    assert {profile.name for profile in after.profiles} == {f"signup channel: {channel}" for channel in CHANNELS}
