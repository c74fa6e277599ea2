"""Streams of the codec rans, from codecs/rans/spec.md; states are shared with ulp_rans.py."""
from cursor import Bits, Cursor, require

NARROW, WIDE = 3, 4


class Lanes:
    """States, and the symbols that come out of them. Narrow ones: 16 bits, 256 slots, bytes; wide ones: 31 bits, words."""

    def __init__(self, cursor, n_lanes, is_wide, slot_bits):
        self.cursor, self.slot_bits = cursor, slot_bits
        self.low_end, self.unit = (1 << 15, 2) if is_wide else (1 << 8, 1)
        if is_wide:
            self.x = [cursor.fixed(4) for _ in range(n_lanes)]
        else:
            high, low = cursor.take(n_lanes), cursor.take(n_lanes)
            self.x = [h << 8 | l for h, l in zip(high, low)]
        top = 1 << 31 if is_wide else 1 << 16
        require(all(self.low_end <= x < top for x in self.x), "a state out of its range")

    def next(self, i, slots):
        """Symbol number i of the stream; slots: (symbol, start, freq) of each slot."""
        lane = i % len(self.x)
        x = self.x[lane]
        slot = x & (1 << self.slot_bits) - 1
        symbol, start, freq = slots[slot]
        x = freq * (x >> self.slot_bits) + slot - start
        if x < self.low_end:
            x = x << 8 * self.unit | self.cursor.fixed(self.unit)
        self.x[lane] = x
        return symbol

    def end(self):
        require(all(x == self.low_end for x in self.x), "a state that does not end where it should")


    def end_carrying(self, n):
        """The bytes that the first n lanes began with, of states of 16 bits."""
        require(all(self.low_end <= x < self.low_end + (256 if i < n else 1) for i, x in enumerate(self.x)),
                "a state that does not end where it should")
        return bytes(x - self.low_end for x in self.x[:n])


def slots_of(frequencies):
    """[(symbol, freq)] in the order of their slots -> what each slot stands for."""
    slots = []
    for symbol, freq in frequencies:
        slots += [(symbol, len(slots), freq)] * freq
    return slots


def read_narrow_table(cursor):
    """-> slots, marker or None"""
    escape, value = cursor.fixed(1), cursor.fixed(1)
    entries, total = {}, escape
    while total < 256:
        freq = cursor.fixed(1)
        if freq == 0:
            step = cursor.fixed(1)
            require(step > 0, "a gap that is none")
            value += step
            continue
        require(value <= 255, "a value above 255")
        entries[value] = freq
        total, value = total + freq, value + 1
    require(total == 256, "frequencies add up to too much")
    marker = min(v for v in range(257) if v not in entries)
    symbols = list(entries.items())
    if escape:
        require(marker < 256, "an escape without a value")
        symbols.append((marker, escape))
    require(2 <= len(symbols) <= 32, "too few symbols, or too many")
    symbols.sort(key=lambda symbol: (-symbol[1], symbol[0]))
    order = []
    while symbols:
        order.append(symbols.pop(0))
        if symbols:
            order.append(symbols.pop())
    return slots_of(order), marker if escape else None, 8


def read_wide_table(cursor):
    head, marker = cursor.fixed(1), cursor.fixed(1)
    require(head < 8 and head & 3 < 3, "a table's head that is none")
    has_escape, slot_bits = bool(head & 4), 10 + (head & 3)
    require(has_escape or marker == 0, "a marker without an escape")
    bits = Bits(cursor.data[cursor.at:])
    frequencies, total, value, of_class = {}, 0, 0, 0
    while total < 1 << slot_bits:
        require(value <= 255, "a value above 255")
        if bits.take(1):
            is_lower, distance = bits.take(1), 1
            while bits.take(1):
                distance += 1
            of_class += -distance if is_lower else distance
            require(0 <= of_class <= 12, "a class that is none")
        if of_class == 0:
            run = 0
            while bits.take(1):
                run += 1
            value += (1 << run) + bits.take(run)
            continue
        frequencies[value] = 1 << of_class - 1 | bits.take(of_class - 1)
        total, value = total + frequencies[value], value + 1
    n_bytes = (bits.at + 7) // 8
    used = Bits(cursor.take(n_bytes))
    used.at = bits.at
    used.end("a table")
    require(total == 1 << slot_bits and len(frequencies) >= 2, "frequencies add up to something else")
    require(not has_escape or marker in frequencies, "a marker without a frequency")
    return slots_of(sorted(frequencies.items())), marker if has_escape else None, slot_bits


def read_model(data):
    """A model's mode, and its table."""
    cursor = Cursor(data)
    mode = cursor.fixed(1)
    require(mode in (NARROW, WIDE), "a model that is none")
    table = (read_narrow_table if mode == NARROW else read_wide_table)(cursor)
    cursor.end("a model")
    return mode, table


def decode_sparse(cursor, n):
    value, at = cursor.fixed(1), 0
    out = bytearray([value]) * n
    while cursor.left():
        gap, shift, byte = 0, 0, 0x80
        while byte & 0x80:
            require(shift < 63, "a gap of too many bytes")
            byte = cursor.fixed(1)
            gap, shift = gap | (byte & 0x7f) << shift, shift + 7
        at += gap
        require(at < n, "an exception behind the end")
        out[at] = cursor.fixed(1)
        at += 1
    return bytes(out)


def decode_plain(cursor, n, mode):
    """What stands behind a head of mode 0, 1 or 2."""
    if mode == 0:
        require(cursor.left() == n, "a raw stream has another length")
        return cursor.take(n)
    if mode == 1:
        require(cursor.left() == 1, "a constant stream has another length")
        return cursor.take(1) * n
    return decode_sparse(cursor, n)


def decode_coded(cursor, n, mode, n_lanes, table):
    slots, marker, slot_bits = table
    lanes, out = Lanes(cursor, n_lanes, mode == WIDE, slot_bits), bytearray()
    for i in range(n):
        out.append(lanes.next(i, slots))
    lanes.end()
    escaped = cursor.take(cursor.left())[::-1]
    at = 0
    for i in range(n):
        if marker is not None and out[i] == marker:
            require(at < len(escaped), "an escape without a byte")
            out[i], at = escaped[at], at + 1
    require(at == len(escaped), "escaped bytes are left")
    return bytes(out)


def decode(coded, n, model=None):
    """model: what read_model returned."""
    if n == 0:
        require(not coded, "bytes of a stream that has none")
        return b""
    cursor = Cursor(coded)
    head = cursor.fixed(1)
    mode, is_shared, log2_lanes = head & 7, head & 8, head >> 4
    require(mode <= WIDE and log2_lanes <= (6 if mode == NARROW else 5), "a head that is none")
    require(mode >= NARROW or head == mode, "a head that is none")
    if mode < NARROW:
        return decode_plain(cursor, n, mode)
    if is_shared:
        require(model is not None and model[0] == mode, "a model that is not there")
        table = model[1]
    else:
        table = (read_narrow_table if mode == NARROW else read_wide_table)(cursor)
    return decode_coded(cursor, n, mode, 1 << log2_lanes, table)
