"""Bytes read in order, with every check that a reader of hostile ones makes."""


class Bad(Exception):
    """What a reader refuses."""


def require(condition, what):
    if not condition:
        raise Bad(what)


def le(data):
    return int.from_bytes(data, "little")


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        require(n <= len(self.data) - self.at, "a length leaves its block")
        self.at += n
        return self.data[self.at - n:self.at]

    def left(self):
        return len(self.data) - self.at

    def fixed(self, n):
        return le(self.take(n))

    def varint(self):
        value = 0
        for i in range(10):
            byte = self.fixed(1)
            value |= (byte & 0x7f) << 7 * i
            if byte < 0x80:
                require(i == 0 or byte != 0, "a number is longer than it need be")
                require(value < 1 << 64, "a number has more than 64 bits")
                return value
        raise Bad("a number has more than ten bytes")

    def varint_of(self, known):
        value = self.varint()
        require(value in known, "a number that is unknown here")
        return value

    def zigzag(self):
        n = self.varint()
        return n >> 1 if n % 2 == 0 else -(n >> 1) - 1

    def end(self, what):
        require(self.at == len(self.data), f"something is left of {what}")


class Bits:
    """Numbers of any number of bits, the lowest bit of a byte first."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        require(n <= 8 * len(self.data) - self.at, "bits end too early")
        first, last = self.at // 8, (self.at + n + 7) // 8
        value = le(self.data[first:last]) >> self.at % 8 & (1 << n) - 1
        self.at += n
        return value

    def end(self, what):
        require((self.at + 7) // 8 == len(self.data), f"bytes are left of {what}")
        require(self.at % 8 == 0 or self.data[-1] >> self.at % 8 == 0, f"a bit is set behind the last of {what}")
