"""Model folders that want to run code or lead astray, fed through the registry: none is loaded, each is told."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import yaml

from schemas.errors import DataError, FenqunError, UsageError
from tasks.serving.fetching import fetch
from tasks.stores.ledger import BUNDLE_TAG
from tests.serving import models


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
    bundle, bucket = models.fitted()
    model, ledger = models.registered(home, bundle, bucket)
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
    (folder / "MLmodel").write_text(f"flavors: !!python/object/apply:pathlib.Path.touch ['{mark}']\n")


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
    from tasks.segments._format import encode_json, sha256

    place = folder / "artifacts/bundle"
    facts = json.loads((place / "bundle.json").read_text())
    facts["segments"][0]["name"] = "all yours"
    (place / "bundle.json").write_bytes(encode_json(facts))
    sums = {name: sha256((place / name).read_bytes()) for name in ("bundle.json", "arrays.safetensors")}
    (place / "checksums.json").write_bytes(encode_json(sums))


def many_tensors(folder, mark):
    header = {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(100_000)}
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


CASES = [
    own_loader, loader_named_only, code_folder, other_code_file, changed_code, pickled_model,
    pickle_named_in_mlmodel_only, pickle_in_the_bundle, pickle_for_arrays, pickle_for_vectors, sklearn_flavor,
    traversal_in_artifacts, yaml_that_builds_objects, yaml_that_is_endless, link_out_of_the_folder, linked_bundle_file,
    changed_number, changed_with_its_sums, many_tensors, changed_catalogue, missing_bundle, thousands_of_files,
]  # fmt: skip


@pytest.mark.parametrize("spoil", CASES, ids=lambda case: case.__name__)
def test_a_spoilt_model_is_refused_and_runs_nothing(known, folder, tmp_path, spoil):
    home, model, ledger, _ = known
    mark = tmp_path / "ran"
    spoil(folder, mark)
    before = sorted(path for path in (home / "artifacts").rglob("*"))
    with pytest.raises(DataError) as caught:
        fetch(model.version, models.context(home), ledger)
    assert not mark.exists()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700
    assert sorted(path for path in (home / "artifacts").rglob("*")) == before


def test_the_clean_model_is_fetched_as_it_was(known, folder):
    home, model, ledger, _ = known
    kept, sha256 = fetch(model.version, models.context(home), ledger)
    assert sha256 == model.sha256
    assert kept.meta["catalogue_sha256"] == model.bundle.meta["catalogue_sha256"]


@pytest.mark.parametrize("source", ["/etc", "file:///etc", "../../..", "http://127.0.0.1:9/model"])
def test_a_version_that_points_elsewhere_is_refused(known, folder, source):
    home, model, ledger, _ = known
    run_id = ledger.version(model.version).run_id
    tags = dict(ledger.version(model.version).tags)
    try:
        planted = ledger.client.create_model_version(models.NAME, source, run_id, tags)
    except Exception:  # MLflow itself refuses some of them
        pytest.skip("MLflow does not register this source")
    with pytest.raises(DataError, match="source is not the model of its run"):
        fetch(str(planted.version), models.context(home), ledger)


def test_versions_that_are_not_ours_or_not_there_are_told(known, folder):
    home, model, ledger, _ = known
    version = ledger.version(model.version)
    foreign = ledger.client.create_model_version(models.NAME, version.source, version.run_id)
    with pytest.raises(DataError, match="not registered by fenqun"):
        fetch(str(foreign.version), models.context(home), ledger)
    wrong = ledger.client.create_model_version(
        models.NAME, version.source, version.run_id, {**version.tags, BUNDLE_TAG: "f" * 64}
    )
    with pytest.raises(DataError, match="not the expected"):
        fetch(str(wrong.version), models.context(home), ledger)
    for number in ("999", "latest", "../1", ""):
        with pytest.raises((UsageError, FenqunError)):
            fetch(number, models.context(home), ledger)
