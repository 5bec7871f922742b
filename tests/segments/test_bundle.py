import io
import json
import os
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.artifacts import State
from schemas.errors import DataError
from tasks.segments import _format
from tasks.segments import bundle as bundles
from tests.helpers.segmenters import bundle, manifest

FACTS, ARRAYS, SUMS = "bundle.json", "arrays.safetensors", "checksums.json"


@pytest.fixture
def saved(tmp_path):
    bundles.save(bundle(), tmp_path / "b")
    return tmp_path / "b"


def resign(folder):
    """What a careful attacker does: makes the sums right again."""
    sums = {name: _format.sha256((folder / name).read_bytes()) for name in (FACTS, ARRAYS)}
    (folder / SUMS).write_bytes(_format.encode_json(sums))


def edit(folder, change):
    facts = json.loads((folder / FACTS).read_text())
    facts = change(facts) or facts
    (folder / FACTS).write_text(json.dumps(facts))
    resign(folder)


def header(folder, change, tail=None):
    data = (folder / ARRAYS).read_bytes()
    n = int.from_bytes(data[:8], "little")
    head = json.loads(data[8 : 8 + n])
    head = change(head) or head
    raw = json.dumps(head).encode()
    (folder / ARRAYS).write_bytes(len(raw).to_bytes(8, "little") + raw + (data[8 + n :] if tail is None else tail))
    resign(folder)


def test_what_was_saved_comes_back(tmp_path, saved):
    ours, back = bundle(), bundles.load(saved, bundles.content_sha256(bundle()))
    assert back.manifest == ours.manifest
    assert back.states.keys() == ours.states.keys()
    for name, state in ours.states.items():
        assert back.states[name].meta == state.meta
        assert back.states[name].arrays.keys() == state.arrays.keys()
        for key, array in state.arrays.items():
            got = back.states[name].arrays[key]
            assert got.dtype == array.dtype
            assert got.shape == array.shape
            assert got.tobytes() == np.asarray(array).tobytes()
    assert bundles.content_sha256(back) == bundles.content_sha256(ours)
    assert sorted(p.name for p in saved.iterdir()) == sorted([FACTS, ARRAYS, SUMS])
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_equal_bundles_are_equal_bytes_whatever_the_order(tmp_path):
    ours = bundle()
    turned = bundles.Bundle(ours.manifest, dict(reversed(ours.states.items())))
    assert bundles.to_files(turned) == bundles.to_files(ours)
    strided = State({"centroids": np.asfortranarray(ours.states["clusterer"].arrays["centroids"])})
    big_endian = State({"centroids": ours.states["clusterer"].arrays["centroids"].astype(">f8")})
    for same in (strided, big_endian):
        assert bundles.to_files(bundle(clusterer=same)) == bundles.to_files(ours)
    other = State({"centroids": ours.states["clusterer"].arrays["centroids"] + 1e-12})
    assert bundles.content_sha256(bundle(clusterer=other)) != bundles.content_sha256(ours)


def test_tuned_weights_travel_where_the_encoder_has_some_and_only_there(tmp_path):
    frozen = manifest().encoder
    tuned = {"encoder": frozen.model_copy(update={"tuned_sha256": "2" * 64})}
    weights = State({"encoder.layer.0.output.dense.weight:up": np.eye(3, 2, dtype=np.float32)})
    ours = bundle(manifest=tuned, tuned=weights)
    back = bundles.load(tmp_path / "b", bundles.save(ours, tmp_path / "b"))
    assert back.tuned is not None
    np.testing.assert_array_equal(*(one.tuned.arrays["encoder.layer.0.output.dense.weight:up"] for one in (back, ours)))
    assert bundle().tuned is None
    with pytest.raises(DataError, match=r"missing \['tuned'\]"):
        bundle(manifest=tuned)
    with pytest.raises(DataError, match=r"not expected \['tuned'\]"):
        bundle(tuned=weights)


def test_a_bundle_from_before_models_were_tuned_is_read(saved):
    edit(saved, lambda facts: facts["encoder"].pop("tuned_sha256") and None)
    assert bundles.load(saved).manifest.encoder.tuned_sha256 is None


def test_saving_again_changes_nothing_and_never_replaces(saved):
    before = {p.name: p.stat().st_mtime_ns for p in saved.iterdir()}
    bundles.save(bundle(), saved)
    assert {p.name: p.stat().st_mtime_ns for p in saved.iterdir()} == before
    with pytest.raises(DataError, match="another bundle"):
        bundles.save(bundle(manifest={"segmentation": "other"}), saved)
    assert len(list(saved.parent.iterdir())) == 1
    assert bundles.load(saved).manifest.segmentation == "demo"


def test_facts_are_the_same_before_and_after_the_disk(saved):
    ours = bundle(texts=State({}, {"pair": (1, 2), "deep": {"x": (3,)}}))
    assert ours.states["texts"].meta == {"pair": [1, 2], "deep": {"x": [3]}}
    for meta in ({1: "a"}, {"x": float("nan")}, {"x": object()}, {"x": np.float32(1)}):
        with pytest.raises(DataError, match="not JSON"):
            bundle(texts=State({}, meta))
    with pytest.raises(TypeError, match="object"):
        bundles.to_files(bundle(texts=State({"x": np.array(["a"], object)}, {})))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"next_number": 8}, "used already"),
        ({"texts": None}, "together"),
        ({"as_of": "2026-01-01T00:00:00"}, "time zone"),
        ({"segments": ()}, "at least 1"),
        ({"segments": ({"id": "s001", "name": "a"}, {"id": "s001", "name": "b"})}, "twice"),
        ({"segments": ({"id": "../x", "name": "a"},)}, "pattern"),
        ({"clusterer": {"kind": "../../evil", "config": {}}}, "pattern"),
        ({"loader": "os.system"}, "Extra"),
    ],
)
def test_facts_that_contradict_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        manifest(**changes)


def test_states_must_be_those_of_the_facts():
    with pytest.raises(DataError, match="not expected"):
        bundle(code=State())
    with pytest.raises(DataError, match="columns of behaviour"):
        bundle(**{"features.behaviour": State({}, {"columns": ["b", "a"]})})
    with pytest.raises(DataError, match="missing"):
        bundles.Bundle(manifest(), {})


class Payload:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (os.mkdir, (str(self.mark),))


def _pickle_in_place(folder):
    (folder / ARRAYS).write_bytes(pickle.dumps(Payload(folder.parent / "owned")))
    resign(folder)


def _npz_in_place(folder):
    buffer = io.BytesIO()
    np.savez(buffer, x=np.array([Payload(folder.parent / "owned")], object))
    (folder / ARRAYS).write_bytes(buffer.getvalue())
    resign(folder)


def _extra(name, text):
    def plant(folder):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    return plant


def _link(name, target):
    def plant(folder):
        (folder.parent / "outside").write_bytes((folder / name).read_bytes())
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return plant


def _folder_link(folder):
    folder.rename(folder.parent / "real")
    folder.symlink_to(folder.parent / "real")


def _pipe(folder):
    (folder / ARRAYS).unlink()
    os.mkfifo(folder / ARRAYS)


def _changed_byte(folder):
    data = bytearray((folder / ARRAYS).read_bytes())
    data[-1] ^= 1
    (folder / ARRAYS).write_bytes(data)


def _truncated(share):
    def plant(folder):
        data = (folder / ARRAYS).read_bytes()
        (folder / ARRAYS).write_bytes(data[: int(len(data) * share)])
        resign(folder)

    return plant


def _many(folder):
    entry = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
    header(folder, lambda head: {f"t{i}": entry for i in range(100_000)}, b"")


def _several(folder):
    entry = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
    header(folder, lambda head: {f"t{i}": entry for i in range(3_000)}, b"")


def _huge_header(folder):
    (folder / ARRAYS).write_bytes((2**62).to_bytes(8, "little") + b"{}")
    resign(folder)


def _huge_shape(folder):
    def facts(all_facts):
        all_facts["arrays"]["clusterer/centroids"][1] = [2**39, 2**39]

    edit(folder, facts)
    header(folder, lambda head: head["clusterer/centroids"].update(shape=[2**39, 2**39]))


def _key(name, change):
    return lambda folder: header(folder, lambda head: change(head, name))


def _drop(head, name):
    return {key: value for key, value in head.items() if key != name}


def _add(head, name):
    return {**head, "clusterer/more": {"dtype": "F64", "shape": [0], "data_offsets": [0, 0]}}


def _set(**entry):
    return lambda head, name: {**head, name: {**head[name], **entry}}


def _overlap(head, name):
    return {**head, name: {**head[name], "data_offsets": head["calibration/centroids"]["data_offsets"]}}


def _deep(folder):
    (folder / FACTS).write_text("[" * 200_000)
    resign(folder)


def _twice(folder):
    (folder / FACTS).write_text('{"schema_version": 2, "schema_version": 2}')
    resign(folder)


def _big_sums(folder):
    (folder / SUMS).write_text(" " * 10_000)


CENTROIDS = "clusterer/centroids"
HOSTILE = {
    "own loader module": (_extra("loader.py", "raise SystemExit"), "does not belong"),
    "MLmodel with a loader": (_extra("MLmodel", "flavors: {python_function: {loader_module: os}}"), "does not belong"),
    "package inside": (_extra("code/__init__.py", "raise SystemExit"), "does not belong"),
    "pickle beside": (_extra("model.pkl", "x"), "does not belong"),
    "traversing name": (_extra("..%2f..%2fevil", "x"), "does not belong"),
    "pickle in place of arrays": (_pickle_in_place, "header"),
    "npz with objects in place": (_npz_in_place, "header"),
    "link out of the folder": (_link(ARRAYS, "../outside"), "plain file"),
    "link to the system": (_link(FACTS, "/etc/passwd"), "plain file"),
    "the folder is a link": (_folder_link, "a link"),
    "a pipe": (_pipe, "not a plain file"),
    "changed byte": (_changed_byte, "sha256"),
    "truncated within the header": (_truncated(0.5), "truncated"),
    "truncated within an array": (_truncated(0.99), "offsets"),
    "100,000 tensors": (_many, "header of"),
    "3,000 tensors": (_several, "3000 arrays"),
    "endless header": (_huge_header, "header of"),
    "shape of an exabyte": (_huge_shape, "offsets"),
    "missing array": (_key(CENTROIDS, _drop), "is missing"),
    "extra array": (_key(CENTROIDS, _add), "not declared"),
    "wrong shape": (_key(CENTROIDS, _set(shape=[4, 3])), "another shape"),
    "wrong dtype": (_key(CENTROIDS, _set(dtype="I64")), "declared is float64"),
    "unknown dtype": (_key(CENTROIDS, _set(dtype="F8_E4M3")), "declared is float64"),
    "overlapping arrays": (_key(CENTROIDS, _overlap), "offsets"),
    "negative offsets": (_key(CENTROIDS, _set(data_offsets=[-8, 0])), "malformed offsets"),
    "offsets as text": (_key(CENTROIDS, _set(data_offsets="01")), "malformed offsets"),
    "entry of another form": (_key(CENTROIDS, _set(code="x")), "malformed"),
    "trailing bytes": (lambda f: header(f, lambda h: h, b"\0" * 100_000), "offsets|belong to no array"),
    "missing file": (lambda f: (f / FACTS).unlink(), "is missing"),
    "missing sums": (lambda f: (f / SUMS).unlink(), "is missing"),
    "sums of other files": (lambda f: (f / SUMS).write_text('{"../x": "0"}'), "exactly"),
    "sums without end": (_big_sums, "at most"),
    "schema of the future": (lambda f: edit(f, lambda x: {**x, "schema_version": 99}), "unknown"),
    "schema version as text": (lambda f: edit(f, lambda x: {**x, "schema_version": "2"}), "not a bundle"),
    "schema version true": (lambda f: edit(f, lambda x: {**x, "schema_version": True}), "not a bundle"),
    "no facts": (lambda f: edit(f, lambda x: {"schema_version": 2}), "states"),
    "facts with code": (lambda f: edit(f, lambda x: {**x, "loader_module": "os"}), "loader_module"),
    "plugin that traverses": (
        lambda f: edit(f, lambda x: {**x, "clusterer": {"kind": "../../x", "config": {}}}), "clusterer.kind"),
    "states as a list": (lambda f: edit(f, lambda x: {**x, "states": []}), "no table"),
    "state without home": (lambda f: edit(f, lambda x: {**x, "states": {}}), "no state"),
    "arrays as objects": (
        lambda f: edit(f, lambda x: x["arrays"].update({CENTROIDS: ["object", [1]]})), "no bundle holds"),
    "negative shape": (
        lambda f: edit(f, lambda x: x["arrays"].update({CENTROIDS: ["float64", [-1]]})), "impossible shape"),
    "facts as a list": (lambda f: edit(f, lambda x: [1]), "not a bundle"),
    "JSON without end": (_deep, "not valid JSON"),
    "a key twice": (_twice, "not valid JSON"),
    "not UTF-8": (lambda f: ((f / FACTS).write_bytes(b"\xff\xfe"), resign(f)), "not valid JSON"),
    "NaN in facts": (lambda f: ((f / FACTS).write_text('{"schema_version": NaN}'), resign(f)), "not valid JSON"),
    "a file, not a folder": (lambda f: (f.rename(f.parent / "x"), f.write_text("x")), "no bundle here"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_folders_run_nothing_and_are_refused(saved, case):
    plant, words = HOSTILE[case]
    plant(saved)
    with pytest.raises(DataError, match=words) as caught:
        bundles.load(saved)
    assert not (saved.parent / "owned").exists()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_whole_other_bundle_is_refused_by_the_pointers_hash(saved, tmp_path):
    trusted = bundles.content_sha256(bundle())
    bundles.save(bundle(manifest={"segmentation": "evil"}), tmp_path / "evil")
    assert bundles.load(tmp_path / "evil").manifest.segmentation == "evil"
    with pytest.raises(DataError, match="not the expected"):
        bundles.load(tmp_path / "evil", trusted)


def test_the_order_of_features_has_one_hash():
    assert manifest().feature_sha256 == manifest(next_number=99).feature_sha256
    turned = bundles.Family(family="behaviour", config={}, columns=("b", "a"))
    assert manifest(families=(turned,)).feature_sha256 != manifest().feature_sha256
    assert manifest().columns == ("behaviour.a", "behaviour.b", "text.0", "text.1")


HITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4)


@given(st.sampled_from([FACTS, ARRAYS]), HITS)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_is_a_clear_refusal_or_harmless(saved, name, hits):
    whole = (saved / name).read_bytes()
    damaged = bytearray(whole)
    for where, byte in hits:
        damaged[int(where * (len(damaged) - 1))] = byte
    (saved / name).write_bytes(damaged)
    resign(saved)
    try:
        bundles.to_files(bundles.load(saved))
    except DataError as error:
        words = str(error)
        assert "\n" not in words
    finally:
        (saved / name).write_bytes(whole)
        resign(saved)


def _places(value, at=()):
    yield at
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(inner, (*at, key))


def test_facts_of_another_form_are_a_clear_refusal_or_harmless(saved):
    whole = json.loads((saved / FACTS).read_text())
    refused = 0
    for place in [place for place in _places(whole) if place]:
        for odd in (None, -1, "x", [], {}, [[]], 1e300):
            facts = json.loads(json.dumps(whole))
            inner = facts
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = odd
            (saved / FACTS).write_text(json.dumps(facts))
            resign(saved)
            try:
                bundles.to_files(bundles.load(saved))
            except DataError:
                refused += 1
    assert refused > 300
