"""What is kept of a checkpoint, as files of which equal weights give equal bytes."""

import io
import json
import os
import sys

import safetensors.torch
import torch


def write_atomic(path, data):
    """The file appears whole or not at all, so an interrupted run leaves no torn file."""
    with open(path + ".part", "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".part", path)


def _rounded(learner):
    """The weights rounded to bf16, to nearest, ties to even."""
    return {name: p.detach().to(torch.bfloat16).contiguous() for name, p in learner.model.named_parameters()}


def _two_names(learner):
    """Tied embeddings as exporters write them that know of no ties: the table again under the head's name."""
    tensors = _rounded(learner)
    return {"lm_head.weight": tensors["transformer.wte.weight"].clone(), **tensors}


def _with_ema(learner):
    """The weights and, beside them, their exponential moving average."""
    average = {f"ema.{name}": p.to(torch.bfloat16).contiguous() for name, p in learner.ema.items()}
    return {**{f"model.{name}": p for name, p in _rounded(learner).items()}, **average}


def _masters(learner):
    return {name: p.detach().contiguous() for name, p in learner.model.named_parameters()}


def _safetensors(tensors, metadata):
    """A safetensors file with its metadata sorted.

    The library writes metadata in the order of a hash map with a random seed. Sorting it changes no length, so the
    header is rewritten in place and the data section stays as the library laid it out.
    """
    encoded = safetensors.torch.save(tensors, metadata)
    n_header_bytes = int.from_bytes(encoded[:8], "little")
    header = json.loads(encoded[8:8 + n_header_bytes])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode("ascii").ljust(n_header_bytes)
    assert len(text) == n_header_bytes
    return encoded[:8] + text + encoded[8 + n_header_bytes:]


def _torch(value):
    # Saved to memory: to a file, the archive would carry the name of its temporary file.
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def _interned(value):
    """The same with equal strings as one object: pickle writes one twice that was loaded twice, in a resumed run."""
    if isinstance(value, dict):
        return {_interned(key): _interned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_interned(item) for item in value]
    return sys.intern(value) if isinstance(value, str) else value


def _training(learner, metadata):
    """What a trainer saves to go on from: its weights (and the fp32 masters of bf16 ones), its optimizer, its step."""
    masters = {} if learner.masters is None else {"masters": learner.masters}
    return {"model": learner.model.state_dict(), **masters, "optimizer": _interned(learner.optimizer.state_dict()),
            "step": int(metadata["step"])}


# name -> (what it adds to the folder's name, extension, encoder)
FORMATS = {
    "bf16": ("", ".safetensors", lambda learner, metadata: _safetensors(_rounded(learner), metadata)),
    "bf16-two-names": ("", ".safetensors", lambda learner, metadata: _safetensors(_two_names(learner), metadata)),
    "bf16-ema": ("-ema", ".safetensors", lambda learner, metadata: _safetensors(_with_ema(learner), metadata)),
    "fp32": ("-fp32", ".safetensors", lambda learner, metadata: _safetensors(_masters(learner), metadata)),
    "bf16-pt": ("", ".pt", lambda learner, metadata: _torch(_rounded(learner))),
    "training-pt": ("-training", ".pt", lambda learner, metadata: _torch(_training(learner, metadata))),
}
# Those that hold bf16 and nothing else, in safetensors.
ROUNDED = ("bf16", "bf16-two-names", "bf16-ema")


def path_of(phase_name, step, file_format):
    """Where a checkpoint lies, relative to the run's folder."""
    folder, extension, _ = FORMATS[file_format]
    return f"{phase_name}{folder}/{phase_name}-step-{step:06d}{extension}"


def write(out, phase_name, step, file_format, learner, run_name):
    metadata = {"format": "pt", "run": run_name, "phase": phase_name, "step": str(step)}
    path = os.path.join(out, path_of(phase_name, step, file_format))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_atomic(path, FORMATS[file_format][2](learner, metadata))
