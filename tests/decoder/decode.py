#!/usr/bin/env python3
"""A second decoder of containers, written from docs/container.md, docs/spec.md, docs/transforms.md and the spec.md of codecs alone: it
shows that they say enough.

usage: decode.py CONTAINER OUTPUT [BASE]

Plain Python; codecs are in stream_codecs.py, predictions and moments in predict.py. Of transforms it knows those that move bytes and bits,
exponent-split and the deltas, moments, and those that are lossy.
Slow on purpose: one loop a rule. Every check of the document that a reader must make is made here.
"""
import struct
import sys

import predict
import quantize
from cursor import Bad, Cursor, le, require
from stream_codecs import CODECS, MODELS, Stream, decode_zstd
from ulp_rans import Elements
from xxh3 import xxh3_128, xxh3_64

# ---- element types: number -> name, bits of a lane, bits of exponent and mantissa ----

DTYPES = {
    0: ("OPAQUE", 8, 0, 0), 1: ("BOOL", 8, 0, 0), 2: ("U8", 8, 0, 0), 3: ("I8", 8, 0, 0), 4: ("U16", 16, 0, 0), 5: ("I16", 16, 0, 0),
    6: ("U32", 32, 0, 0), 7: ("I32", 32, 0, 0), 8: ("U64", 64, 0, 0), 9: ("I64", 64, 0, 0), 10: ("BF16", 16, 8, 7),
    11: ("F16", 16, 5, 10), 12: ("F32", 32, 8, 23), 13: ("F64", 64, 11, 52), 14: ("F8_E4M3", 8, 4, 3), 15: ("F8_E5M2", 8, 5, 2),
    16: ("F8_E8M0", 8, 0, 0), 17: ("F8_E4M3FNUZ", 8, 4, 3), 18: ("F8_E5M2FNUZ", 8, 5, 2), 19: ("F6_E2M3", 8, 0, 0),
    20: ("F6_E3M2", 8, 0, 0), 21: ("F4", 8, 0, 0), 22: ("C64", 32, 8, 23),
}
NUMBER = {row[0]: number for number, row in DTYPES.items()}


class Type:
    """A dtype, and the width of its containers, which its symbols may not fill."""

    def __init__(self, dtype, bits=None):
        self.dtype = dtype
        self.bits = DTYPES[dtype][1] if bits is None else bits

    def width(self, option=0):
        return option or (self.bits // 8 if self.bits % 8 == 0 and self.bits // 8 <= 16 else 1)

    def elements(self):
        """For ulp-rans; None where there are none: a float's container is as wide as its lane, an integer's one of four."""
        _, lane, exponent, mantissa = DTYPES[self.dtype]
        if self.bits not in (8, 16, 32, 64) or (exponent and self.bits != lane):
            return None
        return Elements(self.bits, exponent, mantissa)


U8 = Type(NUMBER["U8"])


# ---- transforms: plan says type and size of each stream; forward and inverse move the bytes ----

class ByteGroup:
    n_references = 0

    def plan(self, options, type_, n):
        width = type_.width(int(options["width"]))
        return [(U8, n // width + (n % width if s == width - 1 else 0)) for s in range(width)]

    def forward(self, options, type_, data):
        width, n = type_.width(int(options["width"])), len(data)
        whole = n - n % width
        streams = [data[s:whole:width] for s in range(width)]
        streams[-1] += data[whole:]
        return streams

    def inverse(self, options, type_, streams, n, base):
        width = type_.width(int(options["width"]))
        m = n // width
        out = bytearray(m * width)
        for s in range(width):
            out[s::width] = streams[s][:m]
        return bytes(out) + streams[-1][m:]


class BitShuffle:
    n_references = 0

    def plan(self, options, type_, n):
        return [(U8, n)]

    def move(self, options, type_, data, to_planes):
        width, n = type_.width(int(options["width"])), len(data)
        g = n // width // 8
        shuffled = 8 * g * width
        source, out = le(data[:shuffled]), 0
        for p in range(8 * width):
            for i in range(8 * g):
                plane, element = 8 * g * p + i, 8 * width * i + p
                out |= (source >> element & 1) << plane if to_planes else (source >> plane & 1) << element
        return out.to_bytes(shuffled, "little") + data[shuffled:]

    def forward(self, options, type_, data):
        return [self.move(options, type_, data, True)]

    def inverse(self, options, type_, streams, n, base):
        return self.move(options, type_, streams[0], False)


class ExponentSplit:
    n_references = 0

    def fields(self, type_):
        _, bits, exponent, mantissa = DTYPES[type_.dtype]
        require(exponent and type_.bits == bits, "exponent-split of what is no float")
        return bits // 8, exponent, mantissa, 2 if exponent > 8 else 1

    def plan(self, options, type_, n):
        width, exponent, mantissa, container = self.fields(type_)
        m = n // width
        return [(Type(NUMBER["U16" if container == 2 else "U8"]), m * container),
                (Type(0, mantissa + 1), (m * (mantissa + 1) + 7) // 8 + n % width)]

    def forward(self, options, type_, data):
        width, exponent, mantissa, container = self.fields(type_)
        m, exponents, rest = len(data) // width, bytearray(), 0
        for i in range(m):
            x = le(data[i * width:(i + 1) * width])
            exponents += (x >> mantissa & (1 << exponent) - 1).to_bytes(container, "little")
            rest |= (x >> mantissa + exponent << mantissa | x & (1 << mantissa) - 1) << i * (mantissa + 1)
        return [bytes(exponents), rest.to_bytes((m * (mantissa + 1) + 7) // 8, "little") + data[m * width:]]

    def inverse(self, options, type_, streams, n, base):
        width, exponent, mantissa, container = self.fields(type_)
        m, bits = n // width, mantissa + 1
        packed = (m * bits + 7) // 8
        rest, out = streams[1][:packed], bytearray()
        require(m * bits % 8 == 0 or rest[-1] >> m * bits % 8 == 0, "a bit is set behind the last symbol")
        for i in range(m):
            e = le(streams[0][i * container:(i + 1) * container])
            require(e >> exponent == 0, "a bit is set above an exponent")
            at = i * bits
            symbol = le(rest[at // 8:(at + bits + 7) // 8]) >> at % 8 & (1 << bits) - 1
            x = symbol >> mantissa << mantissa + exponent | e << mantissa | symbol & (1 << mantissa) - 1
            out += x.to_bytes(width, "little")
        return bytes(out) + streams[1][packed:]


class Delta:
    n_references = 1

    def __init__(self, kind):
        self.kind = kind

    def plan(self, options, type_, n):
        require(type_.bits % 8 == 0, "a delta of what fills no bytes")
        if self.kind == "xor":
            return [(type_, n)]
        require(type_.bits in (8, 16, 32, 64), "a delta of this width is none")
        return [(Type(NUMBER[f"U{type_.bits}"]), n)]

    def order(self, type_, x):
        if not DTYPES[type_.dtype][2]:
            return x
        return x ^ (1 << type_.bits) - 1 if x >> type_.bits - 1 else x ^ 1 << type_.bits - 1

    def element(self, type_, d, b):
        mask = (1 << type_.bits) - 1
        if self.kind == "xor":
            return d ^ b
        if self.kind == "sub":
            return b + d & mask
        step = d >> 1 if d % 2 == 0 else -(d + 1 >> 1)
        ordered = self.order(type_, b) + step & mask
        if not DTYPES[type_.dtype][2]:
            return ordered
        return ordered ^ 1 << type_.bits - 1 if ordered >> type_.bits - 1 else ordered ^ mask

    def inverse(self, options, type_, streams, n, base):
        width, stream = type_.bits // 8, streams[0]
        whole, out = n - n % width, bytearray()
        for at in range(0, whole, width):
            x = self.element(type_, le(stream[at:at + width]), le(base[at:at + width]))
            out += x.to_bytes(width, "little")
        return bytes(out) + stream[whole:]


class Moment:
    """One of several references, whose streams may vary in length."""

    def __init__(self, moment):
        self.moment = moment
        self.n_references = moment.n_references

    def plan(self, options, type_, n):
        require(type_.dtype == NUMBER["F32"] and type_.bits == 32, "moments of another type")
        return self.moment.plan(options, type_, n, Type(0), U8)

    def inverse(self, options, type_, streams, n, inputs):
        return self.moment.inverse(options, type_, streams, n, inputs)


class Quantize(quantize.QuantizeRows):
    def plan(self, options, type_, n):
        require(type_.dtype == NUMBER["F32"] and type_.bits == 32, "rows of another type")
        return super().plan(options, type_, n, U8)


TRANSFORMS = {"quantize-rows": Quantize(0), "quantize-changed-rows": Quantize(1), "moment16": Moment(predict.Moment16()), "moment24": Moment(predict.Moment24()), "moment32": Moment(predict.Moment32()), "gradient24": Moment(predict.Gradient24()), "divided24": Moment(predict.Divided24()), "byte-group": ByteGroup(), "bit-shuffle": BitShuffle(), "exponent-split": ExponentSplit(),
              "delta-xor": Delta("xor"), "delta-sub": Delta("sub"), "delta-ulp": Delta("ulp")}


# ---- specs ----

class Stage:
    """A stage of a spec: name, options, and for a transform the branches of its streams."""

    def __init__(self, text, branches):
        name, *pairs = text.split(":")
        self.name, at, version = name.partition("@")
        require(at and version == "1", f"the stage '{name}' has a version that is unknown here")
        require(self.name == "store" or self.name in TRANSFORMS or self.name in CODECS, f"'{self.name}' is unknown here")
        self.options = dict(pair.split("=") for pair in pairs)
        self.branches = branches
        self.transform = TRANSFORMS.get(self.name)

    def branch(self, stream):
        return self.branches[min(stream, len(self.branches) - 1)]


def parse_chain(text, depth):
    """docs/spec.md: a splitter's branches stand between as many slashes as it is deep."""
    first, plus, rest = text.partition("+")
    if not plus:
        return Stage(first, [])
    name = first.split("@")[0]
    if name in ("byte-group", "exponent-split", "moment16", "moment24", "moment32", "gradient24", "divided24", "quantize-rows", "quantize-changed-rows"):
        # Longer runs of slashes belong to deeper splitters.
        parts, run = [""], ""
        for c in rest + "+":
            if c == "/":
                run += c
                continue
            if len(run) == depth:
                parts.append("")
            else:
                parts[-1] += run
            run = ""
            parts[-1] += c
        parts[-1] = parts[-1][:-1]
        return Stage(first, [parse_chain(part, depth + 1) for part in parts])
    return Stage(first, [parse_chain(rest, depth)])


def plans_of(stage, type_, n):
    """Type, size and whether that is only a bound, of each stream."""
    return [(plan[0], plan[1], len(plan) > 2 and plan[2]) for plan in stage.transform.plan(stage.options, type_, n)]


def stored_bytes(stage, type_, n):
    """Bytes at the front of a payload: the streams that lie there as they are, whose sizes are known."""
    if not stage.transform:
        return n if stage.name == "store" else 0
    return sum(stored_bytes(stage.branch(s), t, size) for s, (t, size, varies) in enumerate(plans_of(stage, type_, n)) if not varies)


def count_leaves(stage, type_, n):
    if not stage.transform:
        return 1
    return sum(count_leaves(stage.branch(s), t, size) for s, (t, size, _) in enumerate(plans_of(stage, type_, n)))


def decode_stage(stage, type_, n, stored, coded, entry, reference, models, leaf=0, fixed=True):
    """models: of this spec and dtype, by leaf; leaf: the number of the stage's first; fixed: n follows from the chunk's bytes."""
    if not stage.transform:
        if stage.name == "store" and fixed:
            return stored.take(n)
        note = entry.varint()
        data = coded.take(note >> 1)
        if note & 1:
            require(len(data) == n, "a raw stream has another length")
            return data
        require(stage.name != "store", "a coded stream of what stores")
        out = CODECS[stage.name](Stream(stage.options, data, n, type_.elements(), reference[1] if reference else None, models.get(leaf)))
        require(len(out) == n, "a stream decodes to another length")
        return out
    plans = plans_of(stage, type_, n)
    streams, references = [None] * len(plans), [None] * len(plans)
    for s, (_, size, varies) in enumerate(plans):
        if stage.branch(s).name == "store" and fixed and not varies:
            streams[s] = stored.take(size)
    if reference and stage.transform.n_references and len(plans) == 1:
        references = [reference]
    elif reference and not stage.transform.n_references:
        try:
            of_base = stage.transform.plan(stage.options, reference[0], len(reference[1]))
            parts = stage.transform.forward(stage.options, *reference)
        except Bad:
            of_base = parts = []
        if len(of_base) == len(plans):
            references = [(t, part) for (t, _), part in zip(of_base, parts)]
    for s, (t, size, varies) in enumerate(plans):
        if streams[s] is None:
            if varies:
                most, size = size, entry.varint()
                require(size <= most, "a stream is longer than it can be")
            streams[s] = decode_stage(stage.branch(s), t, size, stored, coded, entry, references[s], models, leaf, fixed and not varies)
        leaf += count_leaves(stage.branch(s), t, size)
    require(not stage.transform.n_references or reference, "a delta without a base")
    return stage.transform.inverse(stage.options, type_, streams, n, reference[1] if reference else None)


# ---- the container ----

class Container:
    def __init__(self, data, bases):
        self.data, self.bases, self.at = data, bases, 0
        self.specs, self.models, self.references, self.n_bases = [], {}, [], 0
        self.layout, self.layout_body = [], b""
        self.read_head()
        self.read_front()
        self.read_bundles()

    def read_head(self):
        head = self.take(24)
        require(head[:4] == b"MTHC", "is no container")
        self.version = head[4]
        require(self.version in (0, 1, 2), f"version {head[4]} is unknown here")
        require(xxh3_64(head[:16]) == le(head[16:]), "the head is damaged")
        require(head[5] in (0, 1) and head[7] == 0, "flags are unknown here")
        require(12 <= head[6] <= 30, "a chunk size that is none")
        self.is_lossy, self.chunk_bytes, self.raw_bytes = head[5] == 1, 1 << head[6], le(head[8:16])

    def take(self, n):
        require(n <= len(self.data) - self.at, "ends before it should")
        self.at += n
        return self.data[self.at - n:self.at]

    def peek_type(self):
        require(self.at < len(self.data), "ends before it should")
        return self.data[self.at]

    def block(self, number):
        head = self.take(16)
        require(1 <= head[0] <= 8 and head[1:4] == bytes(3), "a block of an unknown type")
        body = self.take(le(head[4:8]))
        require(head[0] in (5, 7) or len(body) <= 1 << 24, "a block is too long")
        require(xxh3_64(body, xxh3_64(head[:8], number)) == le(head[8:]), f"a block of type {head[0]} is damaged")
        return body

    def read_front(self):
        number, last = 0, 0
        while self.peek_type() <= 4 or self.peek_type() == 8:
            kind = self.peek_type()
            require(kind >= last, "blocks in an order that none has")
            last = kind
            body = self.block(number)
            number += 1
            if kind == 1:
                require(len(self.specs) < 32, "too many specs")
                self.specs.append(parse_chain(body.decode("ascii"), 1))
                require(self.is_lossy or not self.specs[-1].name.startswith("quantize-"), "loss that the head hides")
            elif kind == 2:
                self.read_model(Cursor(body))
            elif kind == 3:
                require(self.n_bases < 2, "more than two bases")
                cursor = Cursor(body)
                base_bytes = cursor.varint()
                flags, digest = cursor.fixed(1), cursor.take(16)
                require(flags in (0, 1) and (flags or digest == bytes(16)), "flags of a base that are unknown here")
                cursor.end("the base")
                require(self.n_bases < len(self.bases), "a base is needed")
                require(len(self.bases[self.n_bases]) == base_bytes, "not the base")
                self.n_bases += 1
            elif kind == 4:
                self.read_references(body)
            else:
                require(not self.layout, "two layouts")
                self.read_layout(Cursor(body))
                self.layout_body = body
        require((self.n_bases == 2) == (self.version == 2), "bases that containers of its version do not have")
        self.front_end = self.at

    def read_layout(self, cursor):
        end, members = 0, []
        n_families = cursor.varint()
        require(n_families, "a layout of nothing")
        for _ in range(n_families):
            n_members, n_elems, piece = cursor.varint(), cursor.varint(), cursor.varint()
            require(2 <= n_members <= 8 and n_elems and 0 < piece < 1 << 32 and (piece >= n_elems or piece >= 1024), "a family that is none")
            family = []
            for _ in range(n_members):
                width, offset = cursor.varint(), end + cursor.zigzag()
                require(1 <= width <= 8, "elements of no bytes")
                end = offset + n_elems * width
                require(0 <= offset and end <= self.raw_bytes, "a member outside the file")
                family.append((offset, width))
                members.append((offset, end))
            self.layout.append((n_elems, piece, family))
        cursor.end("the layout")
        members.sort()
        require(all(a[1] <= b[0] for a, b in zip(members, members[1:])), "members overlap")
        self.members = members

    def in_file_order(self):
        """From places to offsets: first what is in no family, then piece after piece."""
        out, places = bytearray(self.raw_bytes), Cursor(bytes(self.out))
        at = 0
        for begin, end in self.members + [(self.raw_bytes, self.raw_bytes)]:
            out[at:begin] = places.take(begin - at)
            at = end
        for n_elems, piece, family in self.layout:
            for first in range(0, n_elems, piece):
                n = min(piece, n_elems - first)
                for offset, width in family:
                    out[offset + first * width:offset + (first + n) * width] = places.take(n * width)
        places.end("the places")
        return out

    def read_model(self, cursor):
        spec, dtype, leaf = cursor.varint(), cursor.varint(), cursor.varint()
        require(spec < len(self.specs) and dtype in DTYPES, "a model of a spec or dtype that is unknown here")
        models, codec = self.models.setdefault((spec, dtype), {}), self.codec_of(spec, dtype, leaf)
        require(codec in MODELS and leaf not in models, "a model of a codec that has none")
        models[leaf] = MODELS[codec](cursor.take(cursor.left()))

    def codec_of(self, spec, dtype, leaf):
        names = []

        def walk(stage, type_):
            if not stage.transform:
                names.append(stage.name)
                return
            for s, (t, _) in enumerate(stage.transform.plan(stage.options, type_, 0)):
                walk(stage.branch(s), t)

        walk(self.specs[spec], Type(dtype))
        require(leaf < len(names), "a model of a leaf that is not there")
        return names[leaf]

    def read_references(self, body):
        cursor = Cursor(body)
        number = cursor.varint()
        require(number < self.n_bases and (number or not any(r[0] for r in self.references)), "references of no base")
        n, n_bytes, coding = cursor.varint(), cursor.varint(), cursor.fixed(1)
        page = cursor.take(len(body) - cursor.at)
        if coding == 2:
            require(number == 1 and n == len(self.references) and n_bytes == len(page) == 0, "references that are others")
            self.references += [(1,) + r[1:] for r in self.references]
            require(all(r[1] + r[2] <= len(self.bases[1]) for r in self.references[n:]), "a reference outside the base")
            return
        if coding == 1:
            require(n_bytes < 256 * len(page), "a page of references that expands too far")
            page = decode_zstd(Stream({"prefix": "no"}, page, n_bytes))
        require(coding in (0, 1) and len(page) == n_bytes, "a page of references is damaged")
        cursor = Cursor(page)
        for _ in range(n):
            name = cursor.take(cursor.varint())
            require(0 not in name, "a name that is none")
            dtype, size = cursor.varint(), cursor.varint()
            require(dtype in DTYPES, "an unknown dtype")
            require(name or dtype == 0, "a tensor without a name")
            before = [r[1] + r[2] for r in self.references if r[0] == number]
            offset = (before[-1] if before else 0) + cursor.zigzag()
            require(0 <= offset and offset + size <= len(self.bases[number]), "a reference outside the base")
            self.references.append((number, offset, size, dtype))
        cursor.end("a page of references")

    def read_bundles(self):
        self.out, leaves, pages, entries, page_at, first = bytearray(), b"", [], b"", self.at, 0
        n_bundles = 0
        while self.peek_type() in (5, 6):
            begin = self.at
            if self.peek_type() == 6:
                page = self.block(len(pages))
                require(entries and page == first.to_bytes(8, "little") + page_at.to_bytes(8, "little") + entries,
                        "a page does not fit its bundles")
                require(n_bundles % 4096 == 0 or self.peek_type() == 7, "a short page is not the last")
                pages.append((begin, first))
                entries, page_at, first = b"", self.at, len(self.out)
                continue
            require(len(entries) < 4096 * 16, "a bundle where a page should be")
            body = self.block(n_bundles)
            raw, leaf = self.decode_bundle(body)
            self.out += raw
            n_bundles += 1
            leaves += leaf.to_bytes(8, "little")
            entries += len(raw).to_bytes(4, "little") + (self.at - begin).to_bytes(4, "little") + leaf.to_bytes(8, "little")
        require(not entries and len(self.out) == self.raw_bytes, "the bundles do not cover the file")
        self.read_root(n_bundles, self.layout_body + leaves, pages)
        if self.layout:
            self.out = self.in_file_order()

    def read_root(self, n_bundles, leaves, pages):
        root_at = self.at
        require(self.peek_type() == 7, "a block of the front stands behind bundles")
        cursor = Cursor(self.block(0))
        require(cursor.varint() == n_bundles and cursor.varint() == self.front_end, "the root does not fit")
        require(cursor.take(16) == xxh3_128(leaves), "the digest differs")
        mode, nanoseconds, seconds = cursor.fixed(4), cursor.fixed(4), cursor.fixed(8)
        require(mode >> 17 == 0 and mode & 0xf000 == 0 and nanoseconds < 10**9, "a mode that is none")
        require(mode >> 16 or (mode, nanoseconds, seconds) == (0, 0, 0), "a time that is not known")
        require(cursor.varint() == len(pages), "the root has other pages")
        at = raw = 0
        for page_at, first in pages:
            at, raw = at + cursor.varint(), raw + cursor.varint()
            require((at, raw) == (page_at, first), "the root has a page elsewhere")
        if self.is_lossy:
            n_elems, n_rows = cursor.varint(), cursor.varint()
            errors = [struct.unpack("<d", cursor.take(8))[0] for _ in range(3)]
            require(n_rows <= n_elems and all(0 <= e < float("inf") for e in errors), "a loss that is none")
            require(n_elems or not any(errors), "a loss of nothing")
        cursor.end("the root")
        end = self.at
        trailer = self.take(24)
        require(le(trailer[:8]) == root_at and trailer[8:16] == b"MTHC end" and
                xxh3_64(trailer[:16], end) == le(trailer[16:]), "the trailer is damaged")
        require(self.at == len(self.data), "goes on behind its end")

    def decode_bundle(self, body):
        require(len(body) >= 16, "a bundle is too short")
        n_plan, n_raw, leaf = le(body[-16:-12]), le(body[-12:-8]), le(body[-8:])
        require(1 <= n_raw <= self.chunk_bytes and n_plan <= len(body) - 16, "the end of a bundle is damaged")
        plan = Cursor(body[len(body) - 16 - n_plan:-16])
        payloads = Cursor(body[:len(body) - 16 - n_plan])
        raw, covered, n_segments = bytearray(n_raw), bytearray(n_raw), 0
        self.chunks, n_chunks = [], plan.varint()
        require(n_chunks <= 256, "too many chunks")
        for _ in range(n_chunks):
            mode, dtype = plan.varint(), plan.varint()
            require(mode in (0, 1, 2, 5, 6) and dtype in DTYPES, "a mode or dtype that is unknown here")
            segments, at = [], 0
            for _ in range(plan.varint()):
                at += plan.varint()
                size = plan.varint()
                require(size > 0 and at + size <= n_raw, "a segment leaves its bundle")
                segments.append((at, size))
                require(not any(covered[at:at + size]), "segments overlap")
                covered[at:at + size] = b"\1" * size
                at += size
            n_segments += len(segments)
            require(segments and n_segments <= 16384, "no segments, or too many")
            flat = self.decode_chunk(mode, dtype, segments, plan, payloads)
            self.chunks.append(flat)
            for at, size in segments:
                raw[at:at + size], flat = flat[:size], flat[size:]
        plan.end("the plan")
        payloads.end("the payloads")
        require(all(covered), "segments do not cover their bundle")
        require(xxh3_64(bytes(raw)) == leaf, "a bundle does not restore to its leaf")
        return bytes(raw), leaf

    def decode_chunk(self, mode, dtype, segments, plan, payloads):
        n = sum(size for _, size in segments)
        if mode == 1:
            return payloads.take(n)
        reference = None
        if mode in (5, 6):
            number, predictor, inputs = self.read_inputs(n, segments, plan)
            require(mode == 5 or predictor, "what is as predicted by nothing")
            reference = predictor(inputs) if predictor else inputs
        elif plan.varint_of((1,) if mode == 2 else (0, 1)):
            require(plan.varint() == 1, "a source that is unknown here")
            reference = self.read_reference(segments, plan, dtype)
        if mode in (2, 6):
            return reference
        spec = plan.varint()
        require(spec < len(self.specs), "a spec that is not there")
        payload = payloads.take(plan.varint())
        entry = Cursor(plan.take(plan.varint()))
        n_stored = stored_bytes(self.specs[spec], Type(dtype), n)
        require(n_stored <= len(payload), "a payload is too short")
        stored, coded = Cursor(payload[:n_stored]), Cursor(payload[n_stored:])
        flat = decode_stage(self.specs[spec], Type(dtype), n, stored, coded, entry,
                            (Type(dtype), reference) if reference is not None else None, self.models.get((spec, dtype), {}))
        for cursor in (stored, coded, entry):
            cursor.end("a chunk")
        return predict.restore(number, inputs, flat) if mode == 5 else flat

    def read_inputs(self, n, segments, plan):
        """The number of what predicts, it, None for nothing, and its inputs."""
        number = plan.varint()
        require(number == 0 or number in predict.PREDICTORS, "a predictor that is unknown here")
        n_settings, n_wanted, width, input_width, _ = predict.PREDICTORS.get(number, (0, 0, 0, 0, None))
        require(not width or n % width == 0, "a part of an element is predicted")
        n_input = n // width * input_width if width else n
        settings = [plan.fixed(4) for _ in range(n_settings)]
        n_inputs, inputs = plan.varint(), []
        require(1 <= n_inputs <= 5 and (not number or n_inputs == n_wanted), "a number of inputs that there is not")
        for _ in range(n_inputs):
            if plan.varint_of((0, 1)):
                require(n_input == n, "an input of another width")
                inputs.append(self.read_reference(segments, plan, None))
            else:
                chunk = plan.varint()
                require(chunk < len(self.chunks) and len(self.chunks[chunk]) == n_input, "an input that is not there")
                inputs.append(self.chunks[chunk])
        return number, (lambda values: predict.predict(number, settings, values)) if number else None, inputs

    def read_reference(self, segments, plan, dtype):
        """dtype: what elements are taken as; None: as they are."""
        digest, number, out = plan.fixed(8), 0, b""
        for _, size in segments:
            number += plan.zigzag()
            offset = plan.varint()
            require(0 <= number < len(self.references), "a reference that is not there")
            base, begin, n_bytes, of = self.references[number]
            width = of_width = 1
            if dtype is not None and of != dtype:
                require(of in predict.FLOATS and dtype in predict.FLOATS, "a reference of another dtype")
                width, of_width = Type(dtype).bits // 8, Type(of).bits // 8
            require(offset % width == size % width == 0, "a part of an element")
            require((offset + size) // width * of_width <= n_bytes, "a segment leaves its reference")
            at = begin + offset // width * of_width
            data = self.bases[base][at:at + size // width * of_width]
            out += predict.convert(of, dtype, data) if width > 1 or of_width > 1 else data
            number += 1
        require(xxh3_64(out) == digest, "not the base")
        return out


def main(arguments):
    if len(arguments) not in (2, 3, 4):
        sys.exit(__doc__)
    with open(arguments[0], "rb") as file:
        data = file.read()
    bases = []
    for name in arguments[2:]:
        with open(name, "rb") as file:
            bases.append(file.read())
    try:
        out = Container(data, bases).out
    except Bad as why:
        sys.exit(f"{arguments[0]}: {why}")
    with open(arguments[1], "wb") as file:
        file.write(out)


if __name__ == "__main__":
    main(sys.argv[1:])
