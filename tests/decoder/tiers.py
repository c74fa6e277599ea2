"""Streams of the codec tiers, from codecs/tiers/spec.md."""
import rans
from cursor import Cursor, require

BLOCK, VECTOR, LANES, NO_RANK, REST = 32768, 64, 32, 15, 31


def read_table(cursor, is_flagged):
    """-> values of the ranks, pairs of the codes of both tiers"""
    values, rows = cursor.take(15), cursor.take(15)
    tiers = [[], []]
    for a, row in enumerate(rows):
        first, second = row & 15, row >> 4
        require(first <= second, "a row that ends before it begins")
        require(not is_flagged or first == (a == 0), "a flag of another pair")
        tiers[0] += [(a, b) for b in range(first)]
        tiers[1] += [(a, b) for b in range(first, second)]
    require(all(len(pairs) <= REST for pairs in tiers), "more pairs than codes")
    return values, [pairs + [(0, 0)] * (REST - len(pairs)) for pairs in tiers]


def read_codes(cursor, n_vectors, has_low):
    """-> the codes of all vectors, behind one another"""
    low = cursor.take((n_vectors + 1) // 2 * LANES) if has_low else None
    high = cursor.take((n_vectors + 7) // 8 * LANES)
    codes = []
    for v in range(n_vectors):
        for i in range(LANES):
            bit = high[v // 8 * LANES + i] >> 7 - v % 8 & 1
            below = low[v // 2 * LANES + i] >> 4 * (v % 2) & 15 if has_low else 15 * bit
            codes.append(bit << 4 | below)
    return codes


def decode_block(cursor, n, values, tiers, is_flagged):
    n_pairs, n_behind, n_places = cursor.fixed(2), cursor.fixed(2), cursor.fixed(2)
    require(n_pairs <= BLOCK // 2 and n_behind <= n_pairs, "more pairs than a block has")
    first = read_codes(cursor, (n + VECTOR - 1) // VECTOR, not is_flagged)
    require(first.count(REST) == n_pairs, "another number of pairs in the second tier")
    second = read_codes(cursor, (n_pairs + LANES - 1) // LANES, True)
    require(second.count(REST) == n_behind + len(second) - n_pairs, "another number of pairs behind")
    behind = Cursor(cursor.take(n_behind))
    places, bytes_there = [cursor.fixed(2) for _ in range(n_places)], cursor.take(n_places)

    def pair_of(byte):
        return byte & 15, byte >> 4

    second = iter(second)
    out = bytearray(len(first) // LANES * VECTOR)
    for at, code in enumerate(first):
        pair = tiers[0][code] if code != REST else None
        if pair is None:
            code = next(second)
            pair = tiers[1][code] if code != REST else pair_of(behind.fixed(1))
        for half, rank in enumerate(pair):
            out[at // LANES * VECTOR + half * LANES + at % LANES] = values[rank if rank != NO_RANK else 0]
    behind.end("the pairs behind")
    last = -1
    for place, byte in zip(places, bytes_there):
        require(last < place < n, "a place that does not rise, or lies behind the end")
        out[place], last = byte, place
    return out[:n]


def decode(coded, n):
    if n == 0:
        require(not coded, "bytes of a stream that has none")
        return b""
    cursor = Cursor(coded)
    mode = cursor.fixed(1)
    if mode <= 2:
        return rans.decode_plain(cursor, n, mode)
    require(mode <= 4 and cursor.fixed(4) == n % (1 << 32), "a mode or a length that is none")
    values, tiers = read_table(cursor, mode == 4)
    out = bytearray()
    while len(out) < n:
        out += decode_block(cursor, min(BLOCK, n - len(out)), values, tiers, mode == 4)
    cursor.end("a stream")
    return bytes(out)
