"""The lossy transforms of docs/transforms.md, for decode.py: what is noted of rows, and their numbers, back to values."""
import math
import struct

from cursor import Bits, Cursor, le, require


def as_float(bits):
    return struct.unpack("<f", bits)[0]


def to_float(x):
    """A double to fp32, no more than the largest."""
    return struct.pack("<f", min(x, struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]))


class QuantizeRows:
    def __init__(self, n_references):
        self.n_references = n_references

    def plan(self, options, type_, n, u8):
        rows = (1 + 3 * 256) * 10 + 2 * (256 + n // 4 // 8 + 1)
        return [(u8, rows, True), (type_, n // 4 * 4, True), (u8, n // 4, True), (type_, n, True)]

    def inverse(self, options, type_, streams, n, base):
        bits = int(options["bits"])
        k_means = options["quantizer"] == "k-means"
        rows, noted, numbers, kept = map(Cursor, streams)
        spans = [(rows.varint(), rows.varint(), rows.varint()) for _ in range(rows.varint_of(range(257)))]
        require(sum(span[0] for span in spans) == n // 4, "spans of other elements")
        out = bytearray()
        for n_elems, row_elems, phase in spans:
            require(n_elems and row_elems > phase, "a span without elements or rows")
            n_rows = -(-(n_elems + phase) // row_elems)
            kinds = Bits(rows.take(-(-2 * n_rows // 8)))
            for i in range(n_rows):
                first, last = max(i * row_elems, phase), min((i + 1) * row_elems, phase + n_elems)
                self.row(kinds.take(2), last - first, bits, k_means, noted, numbers, kept, base, out)
            kinds.end("the kinds of rows")
        out += kept.take(n % 4)
        for cursor, what in (rows, "rows"), (noted, "notes"), (numbers, "numbers"), (kept, "rows that are kept"):
            cursor.end(what)
        return bytes(out)

    def row(self, kind, n, bits, k_means, noted, numbers, kept, base, out):
        require(kind < 3 and (kind or self.n_references), "a row of no kind")
        if kind == 0:
            out += base[len(out):len(out) + 4 * n]
        elif kind == 2:
            out += kept.take(4 * n)
        else:
            n_noted, n_codes = 1 << bits if k_means else 2, -(-n * bits // 8)
            require(4 * n_noted + n_codes < 4 * n, "a row that did not shrink")
            words = [noted.take(4) for _ in range(n_noted)]
            values = [as_float(word) for word in words]
            require(all(map(math.isfinite, values)) and (k_means or values[1] >= 0), "a note that is none")
            codes = Bits(numbers.take(n_codes))
            for _ in range(n):
                number = codes.take(bits)
                out += words[number] if k_means else to_float(values[0] + number * values[1])
            codes.end("numbers")
