"""For peers that take tensors or files instead of bytes: a safetensors file as its header and tensors, and back again."""

import contextlib
import json
import os
import tempfile


def split(data):
    """(header with its length, [(name, dtype, shape, bytes)] in the order of the file); what is no safetensors raises ValueError."""
    n_header = int.from_bytes(data[:8], "little")
    if len(data) < 8 or n_header > len(data) - 8:
        raise ValueError("no safetensors file")
    header = bytes(data[:8 + n_header])
    entries = json.loads(header[8:])
    entries.pop("__metadata__", None)
    tensors = []
    for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = (8 + n_header + offset for offset in entry["data_offsets"])
        tensors.append((name, entry["dtype"], entry["shape"], data[begin:end]))
    return header, tensors


def joined(header, by_name):
    """The file again, of its header and the bytes of each tensor."""
    entries = json.loads(header[8:])
    entries.pop("__metadata__", None)
    order = sorted(entries, key=lambda name: entries[name]["data_offsets"])
    return b"".join([header] + [bytes(by_name[name]) for name in order])


@contextlib.contextmanager
def folder():
    """A folder in memory where the system has one, empty, gone afterwards."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as path:
        yield path


def written(path, data):
    with open(path, "wb") as file:
        file.write(data)
    return path


def read(path):
    with open(path, "rb") as file:
        return file.read()
