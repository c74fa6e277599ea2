"""moonclip: snapshots of a training run, tensor by tensor, the xor with an earlier one by zstd. https://github.com/JHNMACHINE/moonclip

It keeps tensors, not files: the file's header is handed to it as one more tensor. Its store is a folder in memory, and what is
stored all files of the snapshot, packed behind one another. Level 3 alone, its default; 9, its highest, for pairs.
"""

import json
import os
from importlib.metadata import version

import file_pieces
import peer

VERSION = version("moonclip")
LEVEL, PAIR_LEVEL = 3, 9
DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64", "I64": "int64", "I32": "int32",
          "I8": "int8", "U8": "uint8", "BOOL": "bool"}
HEADER = "header of the file"
IDENTITIES = "identities"


def load():
    import moonclip

    def tensors_of(data):
        header, tensors = file_pieces.split(data)
        given = {name: (shape, DTYPES[dtype], bytes(content)) for name, dtype, shape, content in tensors}
        given[HEADER] = ([len(header)], "uint8", header)
        return given

    def files_of(folder):
        found = {}
        for root, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(root, name)
                found[os.path.relpath(path, folder)] = file_pieces.read(path)
        return found

    def write(folder, files):
        for name, content in files.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            file_pieces.written(path, content)

    def pack(files):
        names = json.dumps([(name, len(content)) for name, content in files.items()], separators=(",", ":")).encode()
        return len(names).to_bytes(4, "little") + names + b"".join(files.values())

    def unpack(data):
        at = 4 + int.from_bytes(data[:4], "little")
        files = {}
        for name, n in json.loads(data[4:at]):
            files[name] = data[at:at + n]
            at += n
        return files

    def loaded(manager, snapshot):
        content = manager.load(snapshot)
        return file_pieces.joined(bytes(content[HEADER]), content)

    class Moonclip(peer.Adapter):
        def __init__(self, n_threads, dtype, element_bytes):
            self.stores = {}

        def manager(self, folder, level):
            return moonclip.MoonclipManager(folder, compression_level=level, async_save=False)

        def compress(self, data):
            with file_pieces.folder() as folder:
                manager = self.manager(folder, LEVEL)
                manager.save_tensors(1, tensors_of(data))
                manager.flush()
                return files_of(folder)

        def decompress(self, data):
            with file_pieces.folder() as folder:
                write(folder, data)
                manager = self.manager(folder, LEVEL)
                return loaded(manager, manager.list_snapshots()[-1]["id"])

        def stored(self, output):
            return pack(output)

        def loaded(self, data):
            return unpack(data)

        def base_store(self, base):
            """Files of a store that holds the base. Made the first time a base is seen, which is before the first sample."""
            if id(base) not in self.stores:
                with file_pieces.folder() as folder:
                    manager = self.manager(folder, PAIR_LEVEL)
                    snapshot = manager.save_tensors(1, tensors_of(base))
                    manager.flush()
                    self.stores[id(base)] = snapshot, files_of(folder)
            return self.stores[id(base)]

        def compress_pair(self, data, base):
            before, files = self.base_store(base)
            with file_pieces.folder() as folder:
                write(folder, files)
                manager = self.manager(folder, PAIR_LEVEL)
                snapshot = manager.save_tensors(2, tensors_of(data))
                manager.flush()
                after = files_of(folder)
            new = {name: content for name, content in after.items() if files.get(name) != content}
            return {IDENTITIES: f"{before} {snapshot}".encode(), **new}

        def decompress_pair(self, data, base):
            # A snapshot is called by a random number, by which later ones know it: the base's gets the one it had.
            mine, files = self.base_store(base)
            before, snapshot = data[IDENTITIES].decode().split()
            files = {name.replace(mine, before): content.replace(mine.encode(), before.encode())
                     for name, content in files.items()}
            with file_pieces.folder() as folder:
                write(folder, {**files, **{name: content for name, content in data.items() if name != IDENTITIES}})
                return loaded(self.manager(folder, PAIR_LEVEL), snapshot)

    return Moonclip


peer.serve(f"moonclip@{VERSION}:level={LEVEL},pair-level={PAIR_LEVEL}", load)
