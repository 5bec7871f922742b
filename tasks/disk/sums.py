"""What a folder holds, as one number: for files that are handed round and must not change."""

import hashlib
from pathlib import Path

from schemas.errors import DataError

MAX_FILES = 64


def folder_files(folder: Path) -> list[Path]:
    """All files below a folder, sorted.

    Raises:
        DataError: it is a link or holds one, or something that is no plain file, or too many files.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise DataError(f"{folder}: is no folder (or a link to one)")
    found: list[Path] = []
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise DataError(f"{path}: is a link or no plain file; not read")
        if path.is_file():
            found.append(path)
        if len(found) > MAX_FILES:
            raise DataError(f"{folder}: holds more than {MAX_FILES} files; not read")
    return found


def folder_sha256(folder: Path) -> str:
    """sha256 (hex) over the names and contents of all files below a folder; an absent folder counts as empty."""
    digest = hashlib.sha256()
    for path in folder_files(folder) if folder.exists() or folder.is_symlink() else []:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + content)
    return digest.hexdigest()
