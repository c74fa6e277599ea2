"""Streams of the codec chance-rans, from codecs/chance_rans/spec.md."""
from cursor import Cursor, le, require
from rans import Lanes

SLOTS, LOG2_SLOTS = 4096, 12


def sides(chance):
    """What each slot stands for: up or not, where that side begins, and how many slots it has."""
    return [(1, 0, chance)] * chance + [(0, chance, SLOTS - chance)] * (SLOTS - chance)


def read_exceptions(cursor, n):
    """element -> step"""
    steps, at = {}, cursor.varint()
    while at < n:
        steps[at] = cursor.fixed(2)
        require(steps[at] > 1, "an exception that is none")
        at += 1 + cursor.varint()
    require(at == n, "an exception behind the last element")
    return steps


def decode(coded, n, exponent, reference):
    """exponent: (bits of it, bits below it) where elements are floats of 16 bits, else None; reference: n bytes, or anything else."""
    if n == 0:
        require(not coded, "bytes of nothing")
        return b""
    require(len(coded) > 0, "nothing of something")
    head, n_elems = coded[0], n // 2
    if head == 0:
        require(len(coded) == n + 1, "raw bytes of another length")
        return coded[1:]
    require(head & 15 == 1 and head >> 4 <= 5, "a head that is unknown here")
    tail = coded[len(coded) - n % 2:]
    cursor = Cursor(coded[1:len(coded) - n % 2])
    named, slots = cursor.fixed(2), []
    for c in range(16):
        chance = cursor.fixed(2) if named >> c & 1 else ((2 * c - 3) * SLOTS + 14) // 28 if c > 1 else 1
        require(0 < chance < SLOTS, "a chance out of its range")
        slots.append(sides(chance))
    exceptions = read_exceptions(cursor, n_elems)
    lanes = Lanes(cursor, 1 << (head >> 4), True, LOG2_SLOTS)
    if reference is None or len(reference) != n:
        reference = bytes(n)
    out = bytearray()
    for i in range(n_elems):
        r = le(reference[2 * i:2 * i + 2])
        class_ = min(15, r >> exponent[1] & (1 << exponent[0]) - 1) if exponent else 0
        step = lanes.next(i, slots[class_])
        out += (r + exceptions.get(i, step) & 0xffff).to_bytes(2, "little")
    cursor.end("a stream")
    lanes.end()
    return bytes(out) + tail
