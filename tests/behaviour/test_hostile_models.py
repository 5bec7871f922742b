"""Model folders that want to run code or lead astray, fed through the registry: none is loaded, each is told."""

import contextlib
import json
import os
import pickle
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from schemas.errors import DataError, FenqunError, UsageError
from tasks.disk.sums import folder_sha256
from tasks.models.fetch import fetch
from tasks.segments import _format
from tasks.serving import online
from tasks.stores.ledger import BUNDLE_TAG, CATALOGUE_TAG
from tests.helpers import versions


class Bomb:
    """Unpickling it leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """One registered version, and a copy of its model folder to restore from."""
    home = tmp_path_factory.mktemp("home")
    bundle, bucket = versions.fitted()
    model, ledger = versions.registered(home, bundle, bucket)
    with ledger.model_folder(model.version) as folder:
        shutil.copytree(folder, home / "clean")
        yield home, model, ledger, folder


@pytest.fixture
def folder(known):
    """The model folder, clean at the start of each test."""
    home, *_, place = known
    shutil.rmtree(place)
    shutil.copytree(home / "clean", place)
    return place


def mlmodel(folder, change):
    facts = yaml.safe_load((folder / "MLmodel").read_text())
    change(facts, facts["flavors"]["python_function"])
    (folder / "MLmodel").write_text(yaml.safe_dump(facts))


def code(mark):
    return f"from pathlib import Path\nPath({str(mark)!r}).touch()\ndef _load_pyfunc(p): Path({str(mark)!r}).touch()\n"


def own_loader(folder, mark):
    (folder / "evil.py").write_text(code(mark))
    mlmodel(folder, lambda facts, flavor: flavor.update(loader_module="evil", code="."))


def loader_named_only(folder, mark):
    mlmodel(folder, lambda facts, flavor: flavor.update(loader_module="antigravity"))


def code_folder(folder, mark):
    mlmodel(folder, lambda facts, flavor: flavor.update(code="../../.."))


def other_code_file(folder, mark):
    mlmodel(folder, lambda facts, flavor: flavor.update(model_code_path=str(mark)))


def changed_code(folder, mark):
    (folder / "pyfunc.py").write_text(code(mark))


def pickled_model(folder, mark):
    (folder / "python_model.pkl").write_bytes(pickle.dumps(Bomb(mark)))
    mlmodel(folder, lambda facts, flavor: flavor.update(python_model="python_model.pkl"))


def pickle_named_in_mlmodel_only(folder, mark):
    mlmodel(folder, lambda facts, flavor: flavor.update(python_model="../../outside.pkl"))


def pickle_in_the_bundle(folder, mark):
    (folder / "artifacts/bundle/model.pkl").write_bytes(pickle.dumps(Bomb(mark)))


def pickle_for_arrays(folder, mark):
    (folder / "artifacts/bundle/arrays.safetensors").write_bytes(pickle.dumps(Bomb(mark)))


def pickle_for_vectors(folder, mark):
    (folder / "artifacts/catalogue/vectors.safetensors").write_bytes(pickle.dumps(Bomb(mark)))


def sklearn_flavor(folder, mark):
    mlmodel(folder, lambda facts, flavor: facts["flavors"].update(sklearn={"pickled_model": "model.pkl"}))


def traversal_in_artifacts(folder, mark):
    mlmodel(folder, lambda facts, flavor: flavor["artifacts"]["bundle"].update(path="../../../../etc"))


def yaml_that_builds_objects(folder, mark):
    (folder / "MLmodel").write_text(f"flavors: !!python/object/apply:os.mkdir ['{mark}']\n")


def yaml_that_is_endless(folder, mark):
    (folder / "MLmodel").write_text("[" * 20_000)


def link_out_of_the_folder(folder, mark):
    shutil.rmtree(folder / "artifacts/catalogue")
    (folder / "artifacts/catalogue").symlink_to("/etc")


def linked_bundle_file(folder, mark):
    path = folder / "artifacts/bundle/bundle.json"
    shutil.copy(path, folder.parent / "elsewhere.json")
    path.unlink()
    path.symlink_to(folder.parent / "elsewhere.json")


def changed_number(folder, mark):
    path = folder / "artifacts/bundle/arrays.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


def changed_with_its_sums(folder, mark):
    place = folder / "artifacts/bundle"
    facts = json.loads((place / "bundle.json").read_text())
    facts["segments"][0]["name"] = "all yours"
    (place / "bundle.json").write_bytes(_format.encode_json(facts))
    sums = {name: _format.sha256((place / name).read_bytes()) for name in ("bundle.json", "arrays.safetensors")}
    (place / "checksums.json").write_bytes(_format.encode_json(sums))


def many_tensors(folder, mark):
    header = {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(100_000)}
    data = json.dumps(header).encode()
    (folder / "artifacts/bundle/arrays.safetensors").write_bytes(len(data).to_bytes(8, "little") + data)


def ten_thousand_short_tensors(folder, mark):
    header = {f"{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(10_000)}
    data = json.dumps(header).encode()
    (folder / "artifacts/bundle/arrays.safetensors").write_bytes(len(data).to_bytes(8, "little") + data)


def changed_catalogue(folder, mark):
    path = folder / "artifacts/catalogue/items.parquet"
    path.write_bytes(path.read_bytes() + b"\0")


def missing_bundle(folder, mark):
    shutil.rmtree(folder / "artifacts/bundle")


def thousands_of_files(folder, mark):
    for i in range(500):
        (folder / f"x{i}").touch()


def aliases_upon_aliases(folder, mark):
    levels = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
    (folder / "MLmodel").write_text(f"a0: &a0 [x]\n{levels}flavors: {{python_function: *a11}}\n")


def huge_mlmodel(folder, mark):
    (folder / "MLmodel").write_text("x: 1\n" * 300_000)


def file_beside_the_bundle(folder, mark):
    (folder / "artifacts/bundle/__init__.py").write_text(code(mark))


def file_deep_below(folder, mark):
    (folder / "artifacts/bundle/a/b/c").mkdir(parents=True)
    (folder / "artifacts/bundle/a/b/c/sitecustomize.py").write_text(code(mark))


def requirements_of_its_own(folder, mark):
    (folder / "setup.py").write_text(code(mark))


def a_pipe_that_never_answers(folder, mark):
    path = folder / "artifacts/bundle/arrays.safetensors"
    path.unlink()
    os.mkfifo(path)


CASES = {
    own_loader: "'evil.py' does not belong", loader_named_only: "loader or code of its own",
    code_folder: "loader or code of its own", other_code_file: "another code file", changed_code: "pyfunc.py is not",
    pickled_model: "'python_model.pkl' does not belong", pickle_named_in_mlmodel_only: "loader or code of its own",
    pickle_in_the_bundle: "'artifacts/bundle/model.pkl' does not belong", pickle_for_arrays: "was changed",
    pickle_for_vectors: "was changed", sklearn_flavor: "not as fenqun writes it",
    traversal_in_artifacts: "its artifacts are not", yaml_that_builds_objects: "not as fenqun writes it",
    yaml_that_is_endless: "not as fenqun writes it", link_out_of_the_folder: "is a link",
    linked_bundle_file: "is a link", changed_number: "was changed", changed_with_its_sums: "not the expected",
    many_tensors: "was changed", changed_catalogue: "was changed", missing_bundle: "no bundle here",
    thousands_of_files: "more than 64 files", aliases_upon_aliases: "not as fenqun writes it",
    huge_mlmodel: "too large", file_beside_the_bundle: "'artifacts/bundle/__init__.py' does not belong",
    file_deep_below: "does not belong", requirements_of_its_own: "'setup.py' does not belong",
    a_pipe_that_never_answers: "no plain file",
}  # fmt: skip


def refused(home, ledger, version, mark, words):
    """Fetching a version tells `words` in one line, and neither runs nor keeps anything."""
    before = sorted((home / "artifacts").rglob("*"))
    with pytest.raises(DataError, match=words) as caught:
        fetch(version, versions.context(home), ledger)
    assert not mark.exists()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700
    assert sorted((home / "artifacts").rglob("*")) == before


@pytest.mark.parametrize("spoil", CASES, ids=lambda case: case.__name__)
def test_a_spoilt_model_is_refused_and_runs_nothing(known, folder, tmp_path, spoil):
    home, model, ledger, _ = known
    spoil(folder, tmp_path / "ran")
    refused(home, ledger, model.version, tmp_path / "ran", CASES[spoil])


@pytest.mark.parametrize("spoil", [own_loader, changed_code, pickled_model], ids=lambda case: case.__name__)
def test_the_same_folder_does_run_code_in_mlflows_own_loader(folder, tmp_path, monkeypatch, spoil):
    """What the cases plant works: it is our refusal that keeps it from running."""
    import mlflow.pyfunc

    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    monkeypatch.setattr("sys.path", [*sys.path])
    mark = tmp_path / "ran"
    spoil(folder, mark)
    if spoil is pickled_model:
        mlmodel(folder, lambda facts, flavor: flavor.pop("model_code_path"))
        mlmodel(folder, lambda facts, flavor: flavor.update(loader_module="mlflow.pyfunc.model"))
    with contextlib.suppress(Exception):
        mlflow.pyfunc.load_model(str(folder))
    assert mark.exists()


def resigned(folder, ledger, version):
    """A version of the folder as it is now, whose every recorded sum agrees: its author owns the registry too."""
    place = folder / "artifacts/bundle"
    sums = {name: _format.sha256((place / name).read_bytes()) for name in (_format.FACTS, _format.ARRAYS)}
    (place / _format.CHECKSUMS).write_bytes(_format.encode_json(sums))
    tags = {
        BUNDLE_TAG: _format.sha256((place / _format.CHECKSUMS).read_bytes()),
        CATALOGUE_TAG: folder_sha256(folder / "artifacts/catalogue"),
    }
    known = ledger.version(version)
    planted = ledger.client.create_model_version(versions.NAME, known.source, known.run_id, tags)
    return str(planted.version)


def facts_of_another_segmentation(folder, mark):
    facts(folder, lambda found: found.update(segmentation="other"))


def facts_from_the_future(folder, mark):
    facts(folder, lambda found: found.update(schema_version=99))


def facts_with_an_endless_nest(folder, mark):
    (folder / "artifacts/bundle/bundle.json").write_text("[" * 100_000)


def a_plugin_that_is_a_path(folder, mark):
    facts(folder, lambda found: found["clusterer"].update(kind="../../evil"))


def an_array_of_impossible_shape(folder, mark):
    facts(folder, lambda found: found["arrays"].update(x=["float32", [2**39, 2**39]]))


def facts(folder, change):
    path = folder / "artifacts/bundle/bundle.json"
    found = json.loads(path.read_text())
    change(found)
    path.write_bytes(_format.encode_json(found))


SIGNED = {
    many_tensors: "a header of", ten_thousand_short_tensors: "10000 arrays", pickle_for_arrays: "header",
    facts_of_another_segmentation: "model of other", facts_from_the_future: "version",
    facts_with_an_endless_nest: "not valid JSON", a_plugin_that_is_a_path: "kind",
    an_array_of_impossible_shape: "impossible shape|missing",
}  # fmt: skip


@pytest.mark.parametrize("spoil", SIGNED, ids=lambda case: case.__name__)
def test_sums_that_agree_do_not_help(known, folder, tmp_path, spoil):
    home, model, ledger, _ = known
    spoil(folder, tmp_path / "ran")
    refused(home, ledger, resigned(folder, ledger, model.version), tmp_path / "ran", SIGNED[spoil])


def test_a_signed_catalogue_that_is_a_pickle_is_never_unpickled(known, folder, tmp_path):
    home, model, ledger, _ = known
    for name in ("items.parquet", "vectors.safetensors"):
        (folder / "artifacts/catalogue" / name).write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
        kept, sha256 = fetch(resigned(folder, ledger, model.version), versions.context(home), ledger)
        with pytest.raises(DataError, match="the catalogue is damaged"):
            online.load(Path(kept.path), sha256, "1")
    assert not (tmp_path / "ran").exists()


def test_the_clean_model_is_fetched_as_it_was(known, folder):
    home, model, ledger, _ = known
    kept, sha256 = fetch(model.version, versions.context(home), ledger)
    assert sha256 == model.sha256
    assert kept.meta["catalogue_sha256"] == model.bundle.meta["catalogue_sha256"]


@pytest.mark.parametrize("source", ["/etc", "file:///etc", "../../..", "http://127.0.0.1:9/model"])
def test_a_version_that_points_elsewhere_is_refused(known, folder, source):
    home, model, ledger, _ = known
    run_id = ledger.version(model.version).run_id
    tags = dict(ledger.version(model.version).tags)
    try:
        planted = ledger.client.create_model_version(versions.NAME, source, run_id, tags)
    except Exception:  # MLflow itself refuses some of them
        pytest.skip("MLflow does not register this source")
    with pytest.raises(DataError, match="source is not the model of its run"):
        fetch(str(planted.version), versions.context(home), ledger)


def test_versions_that_are_not_ours_or_not_there_are_told(known, folder):
    home, model, ledger, _ = known
    version = ledger.version(model.version)
    foreign = ledger.client.create_model_version(versions.NAME, version.source, version.run_id)
    with pytest.raises(DataError, match="not registered by fenqun"):
        fetch(str(foreign.version), versions.context(home), ledger)
    wrong = ledger.client.create_model_version(
        versions.NAME, version.source, version.run_id, {**version.tags, BUNDLE_TAG: "f" * 64}
    )
    with pytest.raises(DataError, match="not the expected"):
        fetch(str(wrong.version), versions.context(home), ledger)
    for number in ("999", "latest", "../1", ""):
        with pytest.raises((UsageError, FenqunError)):
            fetch(number, versions.context(home), ledger)


def test_an_mlmodel_that_was_cut_is_refused(known, folder):
    """Without its signature MLflow would drop the moment that a request asks about, and answer of the present."""
    home, model, ledger, _ = known
    path = folder / "MLmodel"
    facts = yaml.safe_load(path.read_bytes())
    del facts["signature"]
    path.write_text(yaml.safe_dump(facts))
    with pytest.raises(DataError, match="MLmodel: was changed after the version was registered"):
        fetch(model.version, versions.context(home), ledger)
