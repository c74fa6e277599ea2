"""A safetensors file of bf16 tensors in another way: make_variant.py KIND IN OUT. KIND: renamed, reshaped, grown, shrunk, F32 or F16."""
import json
import sys

from predict import convert

KIND, IN, OUT = sys.argv[1:4]
with open(IN, "rb") as file:
    data = file.read()
n_header = int.from_bytes(data[:8], "little")
header, at, parts = {}, 0, []
for name, tensor in json.loads(data[8:8 + n_header]).items():
    if name == "__metadata__":
        continue
    begin, end = tensor["data_offsets"]
    content, shape, dtype = data[8 + n_header + begin:8 + n_header + end], list(tensor["shape"]), tensor["dtype"]
    row = len(content) // shape[0]
    if KIND == "renamed":
        name = "another." + name.replace(".", "/")
    elif KIND == "reshaped":
        shape = [2, len(content) // 4]
    elif KIND == "grown":
        content, shape[0] = content + content[:row * 3], shape[0] + 3
    elif KIND == "shrunk":
        content, shape[0] = content[:-row * 3], shape[0] - 3
    else:
        content, dtype = convert(10, {"F32": 12, "F16": 11}[KIND], content), KIND
    header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(content)]}
    at += len(content)
    parts.append(content)
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
with open(OUT, "wb") as file:
    file.write(len(text).to_bytes(8, "little") + text + b"".join(parts))
