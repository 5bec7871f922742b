"""Bundles of older versions still load. The one in tests/data/bundle_v1 was frozen and is never written again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from schemas.errors import DataError
from tasks.segments import _format, _migrations, calibration
from tasks.segments import bundle as bundles
from tests.helpers.segmenters import bundle

FROZEN = Path(__file__).parent.parent / "data" / "bundle_v1"
SHA256 = "50199c521ce197dd4cc27a4e7c180d03e5fd163d864de734a5020971f72e43a5"


def test_a_frozen_bundle_of_version_1_loads_and_is_what_it_was():
    old = bundles.load(FROZEN, SHA256)
    assert old.manifest.schema_version == _migrations.CURRENT
    assert old.manifest.ids == ("s001", "s004", "s008")
    assert [segment.name for segment in old.manifest.segments] == ["s001", "s004", "s008"]  # it had no names
    assert old.manifest.next_number == 9
    now = bundle()
    assert old.states.keys() == now.states.keys()
    for name, state in now.states.items():
        assert old.states[name].arrays.keys() == state.arrays.keys()
        for key, array in state.arrays.items():
            np.testing.assert_allclose(old.states[name].arrays[key], array, rtol=1e-12)
    calibration.from_state(old.states["calibration"], 3, 4)


def test_saved_again_it_is_of_this_version(tmp_path):
    sha256 = bundles.save(bundles.load(FROZEN), tmp_path / "b")
    facts = json.loads((tmp_path / "b" / "bundle.json").read_text())
    assert facts["schema_version"] == _migrations.CURRENT
    assert bundles.load(tmp_path / "b", sha256).manifest.next_number == 9


def test_there_is_a_step_from_every_older_version():
    assert sorted(_migrations.STEPS) == list(range(1, _migrations.CURRENT))


@pytest.mark.parametrize("version", [0, -1, 3, 10**9, 1.0, "1", None, True])
def test_other_versions_are_refused(tmp_path, version):
    shutil.copytree(FROZEN, tmp_path / "b")
    facts = json.loads((tmp_path / "b" / "bundle.json").read_text())
    (tmp_path / "b" / "bundle.json").write_text(json.dumps({**facts, "schema_version": version}))
    files = {name: (tmp_path / "b" / name).read_bytes() for name in ("bundle.json", "arrays.safetensors")}
    (tmp_path / "b" / "checksums.json").write_bytes(
        _format.encode_json({n: _format.sha256(d) for n, d in files.items()})
    )
    with pytest.raises(DataError, match="schema"):
        bundles.load(tmp_path / "b")


@pytest.mark.parametrize("rest", [{}, {"segment_ids": 3}, {"segment_ids": [1]}])
def test_what_only_claims_to_be_old_is_refused(rest):
    with pytest.raises(DataError, match="version 1"):
        _migrations.migrate({"schema_version": 1, **rest})
