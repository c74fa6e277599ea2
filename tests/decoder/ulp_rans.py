"""Streams of the codec ulp-rans, from codecs/ulp_rans/spec.md."""
import rans
from cursor import Bits, Cursor, le, require

GROUP, ESCAPE, FILL_CONTEXT = 32, 15, 15

ZERO = "an older one of zeros"


class Elements:
    """What a type says of elements: their width, and how they are ordered."""

    def __init__(self, bits, exponent_bits, mantissa_bits):
        self.bits, self.n_bytes, self.exponent_bits, self.mantissa_bits = bits, bits // 8, exponent_bits, mantissa_bits

    def context(self, b, top):
        if not self.exponent_bits:
            return 0
        return min(max(top - (b >> self.mantissa_bits & (1 << self.exponent_bits) - 1), 0), 15)

    def ordered(self, b):
        mask, sign = (1 << self.bits) - 1, 1 << self.bits - 1
        return b if not self.exponent_bits else b ^ mask if b & sign else b | sign

    def direction(self, b, older):
        """How far b lies from the older element, 3 for more, and whether below it."""
        step = self.ordered(b) - self.ordered(older) & (1 << self.bits) - 1
        down = step >> self.bits - 1
        return min((1 << self.bits) - step if down else step, 3), down

    def move(self, b, step):
        mask, sign = (1 << self.bits) - 1, 1 << self.bits - 1
        if not self.exponent_bits:
            return b + step & mask
        ordered = (b ^ mask if b & sign else b | sign) + step & mask
        return ordered ^ sign if ordered & sign else ordered ^ mask


def read_table(cursor, elements):
    """-> top, and for each context in use: slots of its flags, its shift, slots of its symbols"""
    top, used, contexts = cursor.fixed(2), cursor.fixed(2), {}
    for c in range(16):
        if not used >> c & 1:
            continue
        changed = cursor.fixed(1)
        require(changed > 0, "a context that never changes")
        shift = cursor.fixed(1) if elements.bits > 16 else 0
        require(shift <= elements.bits - 2, "a shift of too many bits")
        mask = cursor.fixed(2)
        require(mask & 1, "a context without the symbol 0")
        symbols, left = [s for s in range(16) if mask >> s & 1], 256
        frequencies = []
        for s in symbols[:-1]:
            frequencies.append((s, cursor.fixed(1)))
            require(frequencies[-1][1] > 0, "a symbol without slots")
            left -= frequencies[-1][1]
        require(left > 0, "a symbol without slots")
        frequencies.append((symbols[-1], left))
        contexts[c] = (rans.slots_of([(True, changed), (False, 256 - changed)]), shift, rans.slots_of(frequencies))
    return top, contexts


def golomb(bits, order):
    n = order
    while bits.take(1):
        n += 1
        require(n - order <= 9, "a number that is too long")
    return (1 << n) + bits.take(n) - (1 << order)


def folded(bits, order):
    n = golomb(bits, order)
    return n >> 1 if n % 2 == 0 else -(n >> 1) - 1


def read_packed_table(cursor, elements):
    """The same in bits."""
    bits, changed, shift, contexts = Bits(cursor.data[cursor.at:]), 0, 0, {}
    top, used = bits.take(11), bits.take(16)
    for c in range(16):
        if not used >> c & 1:
            continue
        changed = min(max(2 * changed, 1), 255) + folded(bits, 2)
        require(1 <= changed <= 255, "slots that there are not")
        shift += folded(bits, 0) if elements.bits > 16 else 0
        require(0 <= shift <= elements.bits - 2, "a shift of too many bits")
        others = [golomb(bits, 2) for _ in range(bits.take(4))]
        require(sum(others) < 256 and (not others or others[-1]), "a symbol without slots")
        frequencies = [(0, 256 - sum(others))] + [(s + 1, f) for s, f in enumerate(others) if f]
        contexts[c] = (rans.slots_of([(True, changed), (False, 256 - changed)]), shift, rans.slots_of(frequencies))
    n_bytes = (bits.at + 7) // 8
    require(bits.take(n_bytes * 8 - bits.at) == 0, "a bit is set behind a table")
    cursor.take(n_bytes)
    return top, contexts


def read_map(cursor, n_groups):
    n_map = (n_groups + 7) // 8
    bits = le(rans.decode(cursor.take(cursor.varint()), n_map))
    require(bits >> n_groups == 0, "a bit is set behind the last group")
    return [g for g in range(n_groups) if bits >> g & 1]


def read_rows(cursor, n_elems):
    """-> the elements of the rows that have flags"""
    row, first = cursor.varint(), cursor.varint()
    require(GROUP < row <= n_elems and first < row, "rows of a length that there is not")
    ends = list(range(first, n_elems, row)) + [n_elems]
    rows = ([range(first)] if first else []) + [range(a, b) for a, b in zip(ends, ends[1:])]
    return [at for i in read_map(cursor, len(rows)) for at in rows[i]]


def read_step(bits, elements, symbol, shift):
    """The magnitude of a step, less one."""
    if symbol == ESCAPE:
        return bits.take(elements.bits - 1)
    low, u = bits.take(shift), symbol
    if symbol >= 8:
        n = symbol - 7
        u = 6 + (1 << n) + bits.take(n)
    v = u << shift | low
    require(v < 1 << elements.bits - 1, "a step that is too large")
    return v


def read_turns(cursor, n_plain, directions, contexts):
    """The signs of elements that moved before, and those that the states end with."""
    bins, used, moved = cursor.fixed(2), cursor.fixed(2), [i for i, (distance, _) in enumerate(directions) if distance]
    require(not bins & 1 and bin(bins).count("1") < 5, "bins that are none")
    of = [5 * (directions[i][0] - 1) + bin(bins & (2 << contexts[i]) - 1).count("1") for i in moved]
    slots = {context: rans.slots_of([(False, 256)]) for context in range(15)}
    require(not used >> 15, "a context of turns that there is not")
    for context in range(15):
        if used >> context & 1:
            turned = cursor.fixed(1)
            require(turned, "a context that never turns")
            slots[context] = rans.slots_of([(True, turned), (False, 256 - turned)])
    n_lanes = 32 if len(moved) < 32768 else 128
    lanes = rans.Lanes(cursor, n_lanes, False, 8)
    turns = [lanes.next(i, slots[context]) for i, context in enumerate(of)]
    return {i: turn ^ directions[i][1] for i, turn in zip(moved, turns)}, lanes.end_carrying(min(n_plain, n_lanes))


def decode_changes(cursor, head, elements, base, older, rowed):
    """base: the elements of the block, as numbers -> the same with their steps; older: None where there are no turns"""
    directed, from_zero = older is not None and not head & 64, older == ZERO
    if older is not None:
        head |= 64
    require(head & 1 or rowed and head & 2, "a head that is none")
    require(head >> 3 & 7 < 7, "a head that is none")
    n_flag_lanes, n_symbol_lanes = 32 if not head & 4 else 128 if head & 64 else 64, 1 << (head >> 3 & 7)
    top, contexts = (read_packed_table if head & 128 else read_table)(cursor, elements)
    n_changed, n_extra = cursor.varint(), cursor.varint()
    require(1 <= n_changed <= len(base), "a number of elements that there are not")
    n_groups = (len(base) + GROUP - 1) // GROUP
    if head & 1:
        groups = read_map(cursor, n_groups) if head & 2 else range(n_groups)
        places = [at for g in groups for at in range(g * GROUP, (g + 1) * GROUP)]
        fill = elements.context(0, top)
    else:
        places, fill = read_rows(cursor, len(base)), FILL_CONTEXT
        places += [len(base)] * (-len(places) % GROUP)
    n_turned = cursor.varint() if directed else 0
    require(n_turned <= n_changed and (n_turned or not directed), "a number of turns that is none")
    n_signs, n_lanes = (n_changed - n_turned + 7) // 8, n_flag_lanes + n_symbol_lanes
    if directed:
        n_lanes += 32 if n_turned < 32768 else 128
    n_carried = min(n_signs, n_lanes) if head & 64 else 0
    stored, extra = cursor.take(n_signs - n_carried), Bits(cursor.take(n_extra))

    lanes, i, changed, exponents = rans.Lanes(cursor, n_flag_lanes, False, 8), 0, [], []
    for at in places:
        context = elements.context(base[at], top) if at < len(base) else fill
        if context in contexts and lanes.next(i, contexts[context][0]):
            require(at < len(base), "an element that is not there changed")
            changed.append((at, contexts[context]))
            exponents.append(context)
        i += 1
    signs = lanes.end_carrying(min(n_carried, n_flag_lanes))
    require(len(changed) == n_changed, "another number of elements changed")

    lanes, symbols = rans.Lanes(cursor, n_symbol_lanes, False, 8), []
    for i, (_, (_, _, slots)) in enumerate(changed):
        symbols.append(lanes.next(i, slots))
    signs += lanes.end_carrying(min(n_carried - len(signs), n_symbol_lanes))
    turned = {}
    if directed:
        directions = [elements.direction(base[at], 0 if from_zero else older[at]) for at, _ in changed]
        if from_zero:
            n_kept = min(8 * (n_flag_lanes + n_symbol_lanes + GROUP), n_changed)
            directions[:n_kept] = [(0, 0)] * n_kept
        require(sum(1 for d, _ in directions if d) == n_turned, "another number of elements moved before")
        turned, carried = read_turns(cursor, n_carried - len(signs), directions, exponents)
        signs += carried
    signs = Bits(signs + stored)
    cursor.end("a block")

    out = list(base)
    for i, ((at, (_, shift, _)), symbol) in enumerate(zip(changed, symbols)):
        m = read_step(extra, elements, symbol, shift) + 1
        down = turned[i] if i in turned else signs.take(1)
        out[at] = elements.move(base[at], -m if down else m)
    signs.end("the signs")
    extra.end("the extra bits")
    return out


def decode(coded, n, elements, reference, older=None):
    """elements: None where the type has none that this codec takes."""
    if n == 0:
        require(not coded, "bytes of a stream that has none")
        return b""
    cursor = Cursor(coded)
    mode = cursor.fixed(1)
    if mode == 0:
        require(cursor.left() == n, "a raw stream has another length")
        return cursor.take(n)
    require(mode in (1, 2, 3, 4) and elements is not None, "a mode or type that is unknown here")
    require(mode in (1, 3) or older is not None and len(older) == n, "directions without an older base")
    base = reference if reference is not None and len(reference) == n else bytes(n)
    width, out = elements.n_bytes, bytearray()
    most = min(1 << 19, (1 << 20) // width) * width
    while n - len(out) >= width:
        part = base[len(out):len(out) + min(most, (n - len(out)) // width * width)]
        before = older[len(out):len(out) + len(part)] if mode in (2, 4) else None
        block = Cursor(cursor.take(cursor.varint()))
        head = block.fixed(1)
        if head == 0:
            block.end("a block")
            out += part
            continue
        numbers = [le(part[at:at + width]) for at in range(0, len(part), width)]
        numbers_before = ZERO if mode == 3 else None
        if mode in (2, 4):
            numbers_before = [le(before[at:at + width]) for at in range(0, len(part), width)]
        for x in decode_changes(block, head, elements, numbers, numbers_before, mode >= 3):
            out += x.to_bytes(width, "little")
    out += cursor.take(n - len(out))
    cursor.end("a stream")
    return bytes(out)
