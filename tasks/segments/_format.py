"""How a bundle lies on disk: three files of fixed names, read with every bound checked before anything is believed.

`bundle.json` holds facts, `arrays.safetensors` numbers, `checksums.json` the sha256 of the two. None of it is code.
"""

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.errors import DataError
from tasks.disk.files import flush

if TYPE_CHECKING:
    from collections.abc import Mapping

FACTS = "bundle.json"
ARRAYS = "arrays.safetensors"
CHECKSUMS = "checksums.json"
FILES = (ARRAYS, FACTS, CHECKSUMS)

MAX_TENSORS = 2_048
MAX_HEADER_BYTES = 2 * 2**20
MAX_ARRAY_BYTES = 4 * 2**30
MAX_FACTS_BYTES = 256 * 2**20
MAX_CHECKSUMS_BYTES = 4_096
MAX_DIMENSIONS = 8

DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "I16": "int16",
    "U16": "uint16",
    "I32": "int32",
    "U32": "uint32",
    "I64": "int64",
    "U64": "uint64",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
}
"""safetensors' names of the dtypes that a bundle may hold, and numpy's."""


def sha256(data: bytes) -> str:
    """Hex sha256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def encode_json(value: Any) -> bytes:
    """Canonical JSON: sorted keys, no NaN, UTF-8; equal values give equal bytes.

    Raises:
        ValueError: NaN or infinity. TypeError: something that is not JSON.
    """
    text = json.dumps(value, sort_keys=True, allow_nan=False, ensure_ascii=False, indent=1)
    return text.encode("utf-8", "strict")


def decode_json(data: bytes, what: str) -> Any:
    """JSON that is strict: repeated keys, NaN and bad UTF-8 are refused.

    Raises:
        DataError: it is not such JSON.
    """
    try:
        return json.loads(data.decode("utf-8", "strict"), object_pairs_hook=_once, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{what}: not valid JSON ({type(error).__name__}); the bundle is damaged") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a key stands twice")
    return out


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of a bundle")


def encode_arrays(arrays: "Mapping[str, np.ndarray]") -> bytes:
    """Arrays as safetensors bytes, the same bytes for the same arrays.

    Raises:
        TypeError: a dtype that is not bool, integer or float (object arrays would need pickle).
    """
    from safetensors.numpy import save

    plain: dict[str, np.ndarray] = {}
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        if array.dtype.newbyteorder("=").name not in DTYPES.values():
            raise TypeError(f"array {name} has dtype {array.dtype}; a bundle holds bool, integers and floats only")
        plain[name] = np.require(array.astype(array.dtype.newbyteorder("<"), copy=False), requirements="C")
    return save(plain)


def decode_arrays(data: bytes, specs: "Mapping[str, tuple[str, tuple[int, ...]]]") -> "dict[str, np.ndarray]":
    """The arrays in safetensors bytes, after the header was held against what the facts declare.

    Args:
        data: The whole file.
        specs: Array name -> (numpy dtype name, shape), as declared in `bundle.json`.

    Raises:
        DataError: too many tensors, a header too long, an array missing or too many, another dtype or shape, or
            offsets that overlap, leave gaps or leave the file.
    """
    header, start = _header(data)
    _compare(header, specs)
    end = start
    out: dict[str, np.ndarray] = {}
    for name, entry in sorted(header.items(), key=lambda item: tuple(item[1]["data_offsets"])):
        first, last = entry["data_offsets"]
        dtype, shape = specs[name]
        size = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
        if start + first != end or last - first != size or start + last > len(data):
            raise DataError(f"{ARRAYS}: array {name} lies at wrong offsets; the bundle is damaged")
        end = start + last
        raw = np.frombuffer(
            data, dtype=np.dtype(dtype).newbyteorder("<"), count=int(np.prod(shape)), offset=start + first
        )
        out[name] = raw.astype(dtype).reshape(shape)
    if end != len(data):
        raise DataError(f"{ARRAYS}: {len(data) - end} bytes belong to no array; the bundle is damaged")
    return {name: out[name] for name in sorted(out)}


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    if len(data) < 8:
        raise DataError(f"{ARRAYS}: shorter than its own header; the bundle is truncated")
    length = int.from_bytes(data[:8], "little")
    if length <= MAX_HEADER_BYTES and 8 + length > len(data):
        raise DataError(f"{ARRAYS}: ends within its header; the bundle is truncated")
    if length > MAX_HEADER_BYTES:
        raise DataError(f"{ARRAYS}: a header of {length} bytes; at most {MAX_HEADER_BYTES} are read")
    header = decode_json(data[8 : 8 + length], f"{ARRAYS} header")
    if not isinstance(header, dict):
        raise DataError(f"{ARRAYS}: its header is no table of arrays")
    header.pop("__metadata__", None)
    if len(header) > MAX_TENSORS:
        raise DataError(f"{ARRAYS}: {len(header)} arrays; at most {MAX_TENSORS} are read")
    return header, 8 + length


def _compare(header: dict[str, Any], specs: "Mapping[str, tuple[str, tuple[int, ...]]]") -> None:
    for name in sorted(specs.keys() - header.keys()):
        raise DataError(f"{ARRAYS}: array {name} is missing")
    for name in sorted(header.keys() - specs.keys()):
        raise DataError(f"{ARRAYS}: array {name[:80]} is not declared in {FACTS}")
    for name, (dtype, shape) in specs.items():
        entry = header[name]
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise DataError(f"{ARRAYS}: the entry of array {name} is malformed")
        offsets = entry["data_offsets"]
        if not (isinstance(offsets, list) and len(offsets) == 2 and all(type(o) is int and o >= 0 for o in offsets)):
            raise DataError(f"{ARRAYS}: array {name} has malformed offsets")
        if DTYPES.get(str(entry["dtype"])) != dtype:
            raise DataError(f"{ARRAYS}: array {name} is {entry['dtype']}, declared is {dtype}")
        if entry["shape"] != list(shape):
            raise DataError(f"{ARRAYS}: array {name} has another shape than the declared {list(shape)}")


def read_folder(folder: Path) -> dict[str, bytes]:
    """The three files of a bundle's folder, byte by byte, after the folder was held to exactly these.

    Raises:
        DataError: the folder is no folder or a link, a file is missing, extra, a link, not a plain file or too large.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise DataError(f"{folder}: no bundle here (not a folder, or a link); give the folder that `save` wrote")
    found = {entry.name for entry in os.scandir(folder)}
    for name in sorted(set(FILES) - found):
        raise DataError(f"{folder}: {name} is missing; the bundle is incomplete")
    for name in sorted(found - set(FILES)):
        raise DataError(f"{folder}: {name[:80]!r} does not belong to a bundle; only {', '.join(FILES)} may stand there")
    limits = {FACTS: MAX_FACTS_BYTES, ARRAYS: MAX_ARRAY_BYTES, CHECKSUMS: MAX_CHECKSUMS_BYTES}
    return {name: _read(folder / name, limits[name]) for name in FILES}


def _read(path: Path, limit: int) -> bytes:
    try:
        # O_NOFOLLOW refuses links that leave the folder; O_NONBLOCK keeps a planted pipe from hanging us.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise DataError(f"{path}: cannot be opened as a plain file ({error.strerror})") from error
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise DataError(f"{path}: not a plain file")
        if facts.st_size > limit:
            raise DataError(f"{path}: {facts.st_size} bytes; at most {limit} are read")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise DataError(f"{path}: grew while it was read")
    return data


def check_sums(files: "Mapping[str, bytes]") -> str:
    """Hold the files against their recorded sha256; returns the content's sha256.

    Raises:
        DataError: a hash differs, or the table of hashes is not about exactly these files.
    """
    sums = decode_json(files[CHECKSUMS], CHECKSUMS)
    if not isinstance(sums, dict) or set(sums) != {FACTS, ARRAYS}:
        raise DataError(f"{CHECKSUMS}: must name exactly {FACTS} and {ARRAYS}")
    for name in (FACTS, ARRAYS):
        if sums[name] != sha256(files[name]):
            raise DataError(f"{name}: its sha256 is not the recorded one; the bundle was changed after it was saved")
    return sha256(files[CHECKSUMS])


def write_folder(files: "Mapping[str, bytes]", folder: Path) -> None:
    """Write files aside, flush them, and rename the folder into place: readers see all of it or nothing.

    Raises:
        DataError: something else stands there already.
    """
    import shutil
    import tempfile

    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        for name, data in files.items():
            with (aside / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        aside.chmod(folder.parent.stat().st_mode & 0o777)  # who may read the folder it stands in, and nobody else
        aside.rename(folder)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        if not (folder.is_dir() and read_folder(folder) == dict(files)):
            raise DataError(
                f"{folder}: cannot be written ({error.strerror}); another bundle may stand there"
            ) from error
    flush(folder.parent)
