"""Predictions and moments, from docs/container.md, docs/transforms.md and docs/states.md: fp32 arithmetic, an operation at a time."""
import math
import struct
from fractions import Fraction

from cursor import Cursor, le, require

NAN = float("nan")


def value(bits):
    return struct.unpack("<f", bits.to_bytes(4, "little"))[0]


def rounded(x):
    """A double to fp32, to nearest."""
    if math.isnan(x) or math.isinf(x):
        return x
    try:
        return struct.unpack("<f", struct.pack("<f", x))[0]
    except OverflowError:
        return math.copysign(math.inf, x)


def bits(x):
    return 0x7fc00000 if math.isnan(x) else le(struct.pack("<f", x))


def divided(a, b):
    if b == 0:
        return NAN if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b)
    return a / b


def fma(a, b, c):
    """a * b + c, rounded once: the exact sum is brought to a double whose last bit says whether anything was lost."""
    if not all(map(math.isfinite, (a, b, c))) or a == 0 or b == 0:
        return rounded(a * b + c)
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact == 0:
        return a * b + c
    near = float(exact)
    if Fraction(near) != exact and le(struct.pack("<d", near)) % 2 == 0:
        near = math.nextafter(near, math.inf if exact > near else -math.inf)
    return rounded(near)


def bf16(x):
    return 0x7fc0 if x & 0x7fffffff > 0x7f800000 else x + 0x7fff + (x >> 16 & 1) >> 16 & 0xffff


def f16(x):
    v, sign = value(x), x >> 16 & 0x8000
    if math.isnan(v):
        return sign | 0x7e00
    if math.isinf(v):
        return sign | 0x7c00
    try:
        return sign | le(struct.pack("<e", abs(v)))
    except OverflowError:
        return sign | 0x7c00


def f16_value(x):
    """Of an f16 as fp32."""
    sign, rest = x >> 15 << 31, x & 0x7fff
    if rest >= 0x7c00:
        return sign | 0x7f800000 | (rest & 0x3ff) << 13
    return sign | le(struct.pack("<f", struct.unpack("<e", rest.to_bytes(2, "little"))[0]))


# By the numbers of their dtypes: bytes, to fp32, from fp32.
FLOATS = {10: (2, lambda x: x << 16, bf16), 11: (2, f16_value, f16), 12: (4, lambda x: x, lambda x: x)}


def convert(of, to, data):
    of_width, widen, _ = FLOATS[of]
    width, _, narrow = FLOATS[to]
    return b"".join(narrow(widen(le(data[i:i + of_width]))).to_bytes(width, "little") for i in range(0, len(data), of_width))


def moment(m0, gradient, weight):
    return fma(weight, rounded(gradient - m0), m0)


def over(x):
    return rounded(divided(1.0, x))


def gradient16(m0, m1, weight, scale):
    """The bf16 value that made m1 of m0, if one did."""
    gradient = fma(rounded(m1 - m0), over(weight), m0)
    return bf16(bits(rounded(gradient * over(scale)))), gradient


def scaled(g, scale):
    return rounded(value(g << 16) * scale)


def adam_v(settings, v0, m0, m1):
    weight, decay, share, scale = map(value, settings)
    if scale:
        best, g = gradient16(value(m0), value(m1), weight, scale)
        candidate = scaled(best, scale)
        if bits(moment(value(m0), candidate, weight)) == m1:
            g = candidate
    else:
        g = rounded((value(m1) - value(m0)) * divided(1.0, weight) + value(m0))
    return bits(fma(rounded(share * g), g, rounded(value(v0) * decay)))


def cut(x, n):
    return 0x7fc00000 if x & 0x7fffffff > 0x7f800000 else (x + (1 << n - 1) - 1 + (x >> n & 1)) & 0xffffffff & ~((1 << n) - 1)


def adam_v24(settings, v0, m0, m1):
    weight, decay, share, scale = map(value, settings)
    g = fma(rounded(value(m1) - value(m0)), over(weight), value(m0))
    near = bits(rounded(g * over(scale)))
    for n in (16, 12, 8):
        candidate = rounded(value(cut(near, n)) * scale)
        if bits(moment(value(m0), candidate, weight)) == m1:
            g = candidate
            break
    return bits(fma(rounded(share * g), g, rounded(value(v0) * decay)))


class Sum:
    """Gradients of 24 bits, added to what was before: docs/transforms.md, gradient24."""

    def __init__(self, weight, stays, decay, scale):
        self.weight, self.stays, self.decay, self.scale = weight, stays, decay, scale

    def left(self, m0):
        return m0 if self.stays == 0 else rounded(m0 * self.stays)

    def added(self, w0, g):
        scaled = rounded(value(g) * self.scale)
        return fma(self.decay, w0, scaled) if self.decay else scaled

    def after(self, m0, added):
        return fma(self.weight, rounded(added - m0) if self.stays == 0 else added, self.left(m0))

    def gradient(self, m0, w0, m1):
        """The one of few bits that gives just m1, or None."""
        if self.stays == 0:
            added = fma(rounded(value(m1) - m0), over(self.weight), m0)
        else:
            added = rounded(rounded(value(m1) - self.left(m0)) * over(self.weight))
        g = fma(-self.decay, w0, added) if self.decay else added
        near = bits(rounded(g * over(self.scale)))
        for n in (16, 12, 8):
            if bits(self.after(m0, self.added(w0, cut(near, n)))) == m1:
                return cut(near, n)
        return None


def summed_v(settings, v0, m0, m1, w0):
    weight, kept, share, scale, stays, decay = map(value, settings)
    rule = Sum(weight, stays, decay, scale)
    found = rule.gradient(value(m0), value(w0), m1) if scale else None
    if found is not None:
        added = rule.added(value(w0), found)
    else:
        left = rule.left(value(m0))
        added = rounded((value(m1) - left) * divided(1.0, weight) + (left if stays == 0 else 0))
    return bits(fma(rounded(share * added), added, rounded(value(v0) * kept)))


class Division:
    """Gradients of 24 bits over the root of their squares: docs/transforms.md, divided24."""

    def __init__(self, weight, stays, decay, scale, mu, rate, eps):
        self.weight, self.stays, self.decay, self.scale = weight, stays, decay, scale
        self.mu, self.rate, self.eps = mu, rate, eps

    def added(self, w0, g):
        scaled = rounded(value(g) * self.scale)
        return fma(self.decay, w0, scaled) if self.decay else scaled

    def squares(self, v0, added):
        return fma(rounded(self.weight * added), added, rounded(v0 * self.stays))

    def root(self, x):
        return rounded(math.sqrt(x)) if x >= 0 else NAN

    def moved(self, x0, v0, added):
        below = rounded(self.root(self.squares(v0, added)) + self.eps)
        return rounded(rounded(x0 * self.mu) + rounded(divided(rounded(self.rate * added), below)))

    def difference(self, x0, v0, x1):
        r = rounded(rounded(x1 - rounded(x0 * self.mu)) * over(self.rate))
        below = rounded(1 - rounded(self.weight * rounded(r * r)))
        first = rounded(r * self.root(rounded(divided(rounded(v0 * self.stays), below))))
        return rounded(r * rounded(self.root(self.squares(v0, first)) + self.eps))

    def gradient(self, x0, v0, w0, x1, difference):
        """The one of few bits that gives just x1, or None."""
        g = fma(-self.decay, w0, difference) if self.decay else difference
        near = bits(rounded(g * over(self.scale)))
        for n in (16, 12, 8):
            if bits(self.moved(x0, v0, self.added(w0, cut(near, n)))) == x1:
                return cut(near, n)
        return None


def divided_v(settings, v0, x0, x1, w0):
    rule = Division(*map(value, settings))
    added = rule.difference(value(x0), value(v0), value(x1))
    found = rule.gradient(value(x0), value(v0), value(w0), x1, added)
    return bits(rule.squares(value(v0), added if found is None else rule.added(value(w0), found)))


def adam_w(settings, w0, m1, v1):
    decay, step, bias, eps = map(value, settings)
    v = value(v1)
    root = rounded(math.sqrt(v)) if v >= 0 else NAN
    below = rounded(rounded(divided(root, bias)) + eps)
    return bits(rounded(rounded(value(w0) * decay) + rounded(divided(rounded(step * value(m1)), below))))


def adam_drift(settings, w0, m0, v0, m1, v1):
    decay, a, b, eps = map(value, settings)

    def moved(rate, m, v):
        root = rounded(math.sqrt(value(v))) if value(v) >= 0 else NAN
        return rounded(divided(rounded(rate * value(m)), rounded(root + eps)))

    return bits(rounded(rounded(value(w0) * decay) + rounded(moved(a, m0, v0) + moved(b, m1, v1))))


def larger(settings, a, b):
    return bits(value(b) if value(b) > value(a) or math.isnan(value(b)) else value(a))


def sgd_w(settings, w0, momentum):
    return bits(fma(value(momentum), value(settings[0]), value(w0)))


def nesterov_w(settings, w0, after, before):
    rate, mu, over_rest = map(value, settings)
    gradient = rounded(rounded(value(after) - rounded(value(before) * mu)) * over_rest)
    return bits(fma(fma(value(after), mu, gradient), rate, value(w0)))


def divisors(settings, s0, before, after):
    stays, share, mu, over_rate = map(value, settings)
    r = rounded(rounded(value(after) - rounded(value(before) * mu)) * over_rate)
    below = rounded(1 - rounded(share * rounded(r * r)))
    return bits(rounded(divided(rounded(value(s0) * stays), below)))


def centered(settings, x, before, after, squares):
    mu, rate, weight, eps = map(value, settings)
    gradient = fma(rounded(value(after) - value(before)), over(weight), value(before))
    variance = fma(-value(after), value(after), value(squares))
    below = rounded((rounded(math.sqrt(variance)) if variance >= 0 else NAN) + eps)
    return bits(rounded(rounded(value(x) * mu) + rounded(divided(rounded(rate * gradient), below))))


def averaged(settings, e, w):
    return bits(fma(value(settings[0]), rounded(value(w) - value(e)), value(e)))


def averaged_apart(settings, e, w):
    weight, decay = map(value, settings)
    return bits(fma(value(w), weight, rounded(value(e) * decay)))


# ---- rounded by chance ----

def neighbours(x, narrow):
    """The nearest of 16 bits, whether the other one is one less, and of what lies between both, in units of 2^-16, how much is up to the nearest; -1: nothing."""
    nearest, magnitude = narrow(x), x & 0x7fffffff
    if narrow is bf16:
        below, special = Fraction(magnitude, 1 << 16), magnitude >= 0x7f800000
    elif magnitude >= 0x47800000:
        special = True
    else:
        # The value in units of the last place of fp16, on the scale of its patterns.
        exponent, exact = magnitude >> 23, Fraction(magnitude & 0x7fffff | 0x800000, 1 << 23)
        special = magnitude == 0
        below = Fraction(exponent - 113, 1) * 1024 + exact * 1024 if exponent >= 113 else exact * 1024 / 2 ** min(113 - exponent, 27)
    if special:
        return nearest, False, -1
    cut = math.floor(below)
    if below == cut:
        return nearest, False, -1
    up, rest = nearest & 0x7fff != cut, math.floor((below - cut) * 65536)
    return nearest, up, 65536 - rest if up else rest


def stand_in(near, narrow):
    return (1 if near < 0 else 2 + min(14, near * 15 >> 15)) << (7 if narrow is bf16 else 10)


def rounded_by_chance(narrow):
    return lambda settings, x: stand_in(neighbours(x, narrow)[2], narrow)


def towards_zero(x, narrow):
    """The value of 16 bits towards zero, and of what lies up to the next, in parts of 65536, how much was cut off; -1: nothing."""
    magnitude, sign = x & 0x7fffffff, x >> 31 << 15
    if narrow is bf16:
        return x >> 16, (x & 0xffff if magnitude <= 0x7f800000 else 0) or -1
    if magnitude >= 0x47800000:
        return sign | 0x7c00, -1
    exponent = magnitude >> 23
    value = Fraction(magnitude & 0x7fffff | (0x800000 if exponent else 0)) * Fraction(2) ** (max(exponent, 1) - 150)
    # In units of the last place of fp16: of 2^(e - 25), e the field of its exponent, or 2^-24.
    place = max(exponent - 112, 1)
    units = value / Fraction(2) ** (place - 25)
    cut = math.floor(units)
    return sign | (place - 1 << 10) + cut, math.floor((units - cut) * 65536) if units > cut else -1


def stand_in_of_chance(rest, narrow):
    return (1 if rest < 0 else 2 + (rest * 14 >> 16)) << (7 if narrow is bf16 else 10)


def chance(narrow):
    return lambda settings, x: stand_in_of_chance(towards_zero(x, narrow)[1], narrow)


# number -> how the elements are rounded that are coded as steps from a stand-in
ROUNDED = {18: bf16, 19: f16}
CHANCES = {20: bf16, 21: f16}


def restore(number, inputs, coded):
    """The elements of a predicted chunk from what was coded."""
    if number not in ROUNDED and number not in CHANCES:
        return coded
    out = b""
    for x, i in zip(words(inputs[0]), range(0, len(coded), 2)):
        if number in CHANCES:
            cut, rest = towards_zero(x, CHANCES[number])
            out += (cut + le(coded[i:i + 2]) - stand_in_of_chance(rest, CHANCES[number]) & 0xffff).to_bytes(2, "little")
            continue
        nearest, up, near = neighbours(x, ROUNDED[number])
        step = le(coded[i:i + 2]) - stand_in(near, ROUNDED[number])
        out += (nearest + (-step if up else step) & 0xffff).to_bytes(2, "little")
    return out


# number -> settings, inputs, bytes of an element, bytes of an input's, what is predicted
PREDICTORS = {
    1: (0, 1, 0, 0, None),
    2: (0, 1, 2, 4, lambda settings, x: bf16(x)),
    3: (0, 1, 2, 4, lambda settings, x: x >> 16),
    4: (0, 1, 2, 4, lambda settings, x: f16(x)),
    5: (4, 3, 4, 4, adam_v),
    6: (4, 3, 4, 4, adam_w),
    7: (4, 5, 4, 4, adam_drift),
    8: (0, 2, 4, 4, larger),
    9: (1, 2, 4, 4, sgd_w),
    10: (3, 3, 4, 4, nesterov_w),
    11: (4, 3, 4, 4, divisors),
    12: (4, 4, 4, 4, centered),
    13: (1, 2, 4, 4, averaged),
    14: (2, 2, 4, 4, averaged_apart),
    15: (4, 3, 4, 4, adam_v24),
    16: (6, 4, 4, 4, summed_v),
    17: (7, 4, 4, 4, divided_v),
    18: (0, 1, 2, 4, rounded_by_chance(bf16)),
    19: (0, 1, 2, 4, rounded_by_chance(f16)),
    20: (0, 1, 2, 4, chance(bf16)),
    21: (0, 1, 2, 4, chance(f16)),
}


def words(data):
    return [le(data[i:i + 4]) for i in range(0, len(data) - 3, 4)]


def predict(number, settings, inputs):
    _, _, width, _, function = PREDICTORS[number]
    if function is None:
        return inputs[0]
    return b"".join(function(settings, *elements).to_bytes(width, "little") for elements in zip(*map(words, inputs)))


# ---- moments ----

def half_octave(x):
    return x >> 22 & 0x1ff


def half_octave_of_root(x):
    return half_octave(x) + 254 >> 1


def unpacked(data, n, width):
    whole = le(data)
    require(whole >> n * width == 0, "a bit is set behind the last symbol")
    return [whole >> i * width & (1 << width) - 1 for i in range(n)]


class Moment16:
    n_references = 2

    def plan(self, options, type_, n, opaque, u8):
        m = n // 4
        return [(u8, m, False), (opaque, (7 * m + 7) // 8, False), (opaque, n, True)]

    def inverse(self, options, type_, streams, n, inputs):
        weight, scale = value(int(options["weight"])), value(int(options["scale"]))
        kept, out, m = Cursor(streams[2]), b"", n // 4
        for size, rest, m0, v0 in zip(streams[0], unpacked(streams[1], m, 7), words(inputs[0]), words(inputs[1])):
            if size == 255:
                m1 = kept.fixed(4)
                require(rest == 0, "what is kept has a rest")
            else:
                top = size - 128 + half_octave_of_root(v0)
                require(0 <= top <= 0x1ff, "a size that no gradient has")
                g = rest >> 6 << 15 | top << 6 | rest & 0x3f
                m1 = bits(moment(value(m0), scaled(g, scale), weight))
            out += m1.to_bytes(4, "little")
        out += kept.take(n - 4 * m)
        kept.end("what is kept")
        return out


class Moment24:
    n_references = 2

    def plan(self, options, type_, n, opaque, u8):
        m = n // 4
        return [(u8, m, False), (opaque, (7 * m + 7) // 8, False), (u8, m, False), (opaque, n, True)]

    def inverse(self, options, type_, streams, n, inputs):
        weight, scale = value(int(options["weight"])), value(int(options["scale"]))
        kept, out, m = Cursor(streams[3]), b"", n // 4
        symbols = zip(streams[0], unpacked(streams[1], m, 7), streams[2])
        for (size, rest, low), m0, v0 in zip(symbols, words(inputs[0]), words(inputs[1])):
            if size == 255:
                require(rest == 0 and low == 0, "what is kept has a rest")
                m1 = kept.fixed(4)
            else:
                top = size - 128 + half_octave_of_root(v0)
                require(0 <= top <= 0x1ff, "a size that no gradient has")
                g = rest >> 6 << 31 | top << 22 | (rest & 0x3f) << 16 | low << 8
                m1 = bits(moment(value(m0), rounded(value(g) * scale), weight))
            out += m1.to_bytes(4, "little")
        out += kept.take(n - 4 * m)
        kept.end("what is kept")
        return out


class Gradient24:
    n_references = 3
    plan = Moment24.plan

    def made_by(self, options):
        """What a gradient makes of the references, and what its size is told from."""
        rule = Sum(*(value(int(options[name])) for name in ("weight", "stays", "decay", "scale")))
        return (lambda g, m0, v0, w0: rule.after(value(m0), rule.added(value(w0), g)),
                lambda v0: half_octave_of_root(v0) if options["sizes"] == "squares" else 192)

    def inverse(self, options, type_, streams, n, inputs):
        made, middle = self.made_by(options)
        kept, out, m = Cursor(streams[3]), b"", n // 4
        symbols = zip(streams[0], unpacked(streams[1], m, 7), streams[2])
        for (size, rest, low), x0, v0, w0 in zip(symbols, *map(words, inputs)):
            if size == 255:
                require(rest == 0 and low == 0, "what is kept has a rest")
                x1 = kept.fixed(4)
            else:
                top = size - 128 + middle(v0) if size else 0
                require(size == 0 or 0 < top <= 0x1ff, "a size that no gradient has")
                x1 = bits(made(rest >> 6 << 31 | top << 22 | (rest & 0x3f) << 16 | low << 8, x0, v0, w0))
            out += x1.to_bytes(4, "little")
        out += kept.take(n - 4 * m)
        kept.end("what is kept")
        return out


class Divided24(Gradient24):
    def made_by(self, options):
        rule = Division(*(value(int(options[name])) for name in ("weight", "stays", "decay", "scale", "mu", "rate", "eps")))
        return lambda g, x0, v0, w0: rule.moved(value(x0), value(v0), rule.added(value(w0), g)), half_octave_of_root


class Moment32:
    n_references = 2

    def plan(self, options, type_, n, opaque, u8):
        m = n // 4
        return [(opaque, 2 * m + (6 * m + 7) // 8, False)] + [(u8, m, True)] * 13 + [(opaque, n, True)]

    def inverse(self, options, type_, streams, n, inputs):
        weight, m = int(options["weight"]), n // 4
        stays, classes, kept, out = rounded(1 - value(weight)), [Cursor(s) for s in streams[1:14]], Cursor(streams[14]), b""
        high = unpacked(streams[0][2 * m:], m, 6)
        for i, (m0, v0) in enumerate(zip(words(inputs[0]), words(inputs[1]))):
            p = bits(rounded(stays * value(m0)))
            scale = half_octave_of_root(v0) + half_octave(weight) - 254
            kind = min(max(half_octave(p) - scale + 5, 0), 12)
            anchor = half_octave(p) if kind else scale
            symbol, rest = classes[kind].fixed(1), high[i] << 16 | le(streams[0][2 * i:2 * i + 2])
            if symbol == 255:
                m1 = kept.fixed(4)
                require(rest == 0 and not 0 <= half_octave(m1) - anchor + 62 < 127, "what is kept need not be")
            else:
                size = (symbol >> 1) - 62 + anchor
                require(symbol < 254 and 0 <= size <= 0x1ff, "a size that there is not")
                m1 = (symbol & 1 ^ p >> 31) << 31 | size << 22 | rest
            out += m1.to_bytes(4, "little")
        for cursor in classes:
            cursor.end("a class")
        out += kept.take(n - 4 * m)
        kept.end("what is kept")
        return out
