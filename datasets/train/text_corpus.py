"""Real texts that come with every Python: documentation and source code of its standard library.

They depend on nothing but the Python release. Documentation and source_code do not overlap: the one is taken from the
top-level modules, the other from packages. library holds the source of all of them.
"""

import ast
import hashlib
import os
import pydoc_data.topics
import sysconfig

CODE_PACKAGES = ("asyncio", "email", "http", "json", "logging", "urllib")
# Tests and tables are not prose; what distributors leave out, patch or install is not the same everywhere.
NOT_LIBRARY = ("site-packages", "dist-packages", "test", "tests", "idle_test", "idlelib", "lib2to3", "tkinter",
               "turtledemo", "ensurepip", "encodings", "pydoc_data", "__pycache__", "distutils", "venv")
MACHINE_MODULES = ("sitecustomize.py", "usercustomize.py")
VALIDATION_BLOCK_BYTES = 8192
VALIDATION_EVERY = 10

# Typography has a plain spelling; folding it keeps the vocabulary to the characters that carry the text.
_PLAIN = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"',
                        "\u2013": "-", "\u2014": "-", "\u2026": "...", "\t": "    ", "\f": ""})


def _to_ascii(text):
    return text.translate(_PLAIN).encode("ascii", "replace")


def _read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def documentation():
    """The help topics of pydoc, then each docstring of the public top-level modules, once, in name order."""
    parts = [pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics)]
    stdlib = sysconfig.get_paths()["stdlib"]
    seen = set()
    for name in sorted(os.listdir(stdlib)):
        # Underscored modules hold build settings of the machine; the customize hooks belong to the distributor.
        if not name.endswith(".py") or name.startswith("_") or name in MACHINE_MODULES:
            continue
        for node in ast.walk(ast.parse(_read(os.path.join(stdlib, name)))):
            if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            docstring = ast.get_docstring(node)
            if docstring and docstring not in seen:
                seen.add(docstring)
                parts.append(docstring)
    return _to_ascii("\n\n".join(parts) + "\n")


def source_code():
    """The modules of a few packages, whole, in path order."""
    stdlib = sysconfig.get_paths()["stdlib"]
    paths = []
    for package in CODE_PACKAGES:
        for folder, _, names in os.walk(os.path.join(stdlib, package)):
            paths += [os.path.join(folder, name) for name in names if name.endswith(".py")]
    return _joined(paths, stdlib)


def library():
    """The help topics of pydoc, then the modules of the standard library, whole, in path order."""
    stdlib = sysconfig.get_paths()["stdlib"]
    paths = []
    for folder, subfolders, names in os.walk(stdlib):
        # Folders with a hyphen hold the build's own settings, underscored modules at the top those of the machine.
        subfolders[:] = [name for name in subfolders if name not in NOT_LIBRARY and "-" not in name]
        is_top = folder == stdlib
        paths += [os.path.join(folder, name) for name in names if name.endswith(".py") and
                  not (is_top and (name.startswith("_") or name in MACHINE_MODULES))]
    topics = [pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics)]
    return _to_ascii("\n\n".join(topics) + "\n") + _joined(paths, stdlib)


def _joined(paths, stdlib):
    # Sorting by the path's parts gives one order wherever the library is installed.
    paths.sort(key=lambda path: os.path.relpath(path, stdlib).split(os.sep))
    return _to_ascii("\n".join(_read(path) for path in paths))


TEXTS = {"documentation": documentation, "source_code": source_code, "library": library}


def vocabulary(*texts):
    """The bytes that occur in any of the texts, ascending; a token is an index into it."""
    return bytes(sorted(set(b"".join(texts))))


def split(text):
    """(training, validation): every tenth block of 8 KiB validates, so both see all parts of the text."""
    blocks = [text[i:i + VALIDATION_BLOCK_BYTES] for i in range(0, len(text), VALIDATION_BLOCK_BYTES)]
    held_out = VALIDATION_EVERY - 1
    training = b"".join(b for i, b in enumerate(blocks) if i % VALIDATION_EVERY != held_out)
    validation = b"".join(b for i, b in enumerate(blocks) if i % VALIDATION_EVERY == held_out)
    return training, validation


def sha256(text):
    return hashlib.sha256(text).hexdigest()
