"""XXH3, 64 bits with a seed and 128 bits without, after its published description; plain Python, no module needed."""
import struct

M64 = (1 << 64) - 1
P32_1, P32_2, P32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
P64_1, P64_2, P64_3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P64_4, P64_5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e")


def u32(data, at):
    return int.from_bytes(data[at:at + 4], "little")


def u64(data, at):
    return int.from_bytes(data[at:at + 8], "little")


def swap32(x):
    return int.from_bytes(x.to_bytes(4, "little"), "big")


def swap64(x):
    return int.from_bytes(x.to_bytes(8, "little"), "big")


def rotl(x, n, bits=64):
    return (x << n | x >> (bits - n)) & ((1 << bits) - 1)


def fold(a, b):
    product = a * b
    return (product ^ product >> 64) & M64


def avalanche64(h):
    h = (h ^ h >> 33) * P64_2 & M64
    h = (h ^ h >> 29) * P64_3 & M64
    return h ^ h >> 32


def avalanche(h):
    h = (h ^ h >> 37) * 0x165667919E3779F9 & M64
    return h ^ h >> 32


def mix16(data, at, secret_at, seed=0):
    return fold(u64(data, at) ^ (u64(SECRET, secret_at) + seed & M64),
                u64(data, at + 8) ^ (u64(SECRET, secret_at + 8) - seed & M64))


def accumulate(acc, data, at, keys):
    values = struct.unpack_from("<8Q", data, at)
    for i in range(8):
        key = values[i] ^ keys[i]
        acc[i ^ 1] += values[i]
        acc[i] = acc[i] + (key & 0xffffffff) * (key >> 32) & M64


def long_accumulators(data, secret):
    n = len(data)
    acc = [P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1]
    keys = [struct.unpack_from("<8Q", secret, 8 * i) for i in range(16)]
    last = struct.unpack_from("<8Q", secret, 128)
    n_blocks = (n - 1) // 1024
    for block in range(n_blocks):
        for stripe in range(16):
            accumulate(acc, data, 1024 * block + 64 * stripe, keys[stripe])
        for i in range(8):
            a = acc[i] & M64
            acc[i] = (a ^ a >> 47 ^ last[i]) * P32_1 & M64
    for stripe in range((n - 1 - 1024 * n_blocks) // 64):
        accumulate(acc, data, 1024 * n_blocks + 64 * stripe, keys[stripe])
    accumulate(acc, data, n - 64, struct.unpack_from("<8Q", secret, 192 - 64 - 7))
    return [a & M64 for a in acc]


def merge(acc, secret, at, start):
    for i in range(4):
        start += fold(acc[2 * i] ^ u64(secret, at + 16 * i), acc[2 * i + 1] ^ u64(secret, at + 16 * i + 8))
    return avalanche(start & M64)


def xxh3_64(data, seed=0):
    n = len(data)
    if n == 0:
        return avalanche64(seed ^ u64(SECRET, 56) ^ u64(SECRET, 64))
    if n <= 3:
        combined = data[0] << 16 | data[n >> 1] << 24 | data[n - 1] | n << 8
        return avalanche64(combined ^ ((u32(SECRET, 0) ^ u32(SECRET, 4)) + seed & M64))
    if n <= 8:
        seed ^= swap32(seed & 0xffffffff) << 32
        h = u32(data, n - 4) + (u32(data, 0) << 32) ^ ((u64(SECRET, 8) ^ u64(SECRET, 16)) - seed & M64)
        h ^= rotl(h, 49) ^ rotl(h, 24)
        h = h * 0x9FB21C651E98DF25 & M64
        h = (h ^ (h >> 35) + n) * 0x9FB21C651E98DF25 & M64
        return h ^ h >> 28
    if n <= 16:
        low = u64(data, 0) ^ ((u64(SECRET, 24) ^ u64(SECRET, 32)) + seed & M64)
        high = u64(data, n - 8) ^ ((u64(SECRET, 40) ^ u64(SECRET, 48)) - seed & M64)
        return avalanche(n + swap64(low) + high + fold(low, high) & M64)
    if n <= 128:
        acc = n * P64_1
        for i in range((n - 1) // 32, -1, -1):
            acc += mix16(data, 16 * i, 32 * i, seed) + mix16(data, n - 16 - 16 * i, 32 * i + 16, seed)
        return avalanche(acc & M64)
    if n <= 240:
        acc = n * P64_1 + sum(mix16(data, 16 * i, 16 * i, seed) for i in range(8))
        acc = avalanche(acc & M64) + sum(mix16(data, 16 * i, 16 * (i - 8) + 3, seed) for i in range(8, n // 16))
        return avalanche(acc + mix16(data, n - 16, 136 - 17, seed) & M64)
    secret = b"".join(struct.pack("<QQ", u64(SECRET, at) + seed & M64, u64(SECRET, at + 8) - seed & M64)
                      for at in range(0, 192, 16))
    return merge(long_accumulators(data, secret), secret, 11, n * P64_1 & M64)


def halves_128(data):
    n = len(data)
    if n == 0:
        return avalanche64(u64(SECRET, 64) ^ u64(SECRET, 72)), avalanche64(u64(SECRET, 80) ^ u64(SECRET, 88))
    if n <= 3:
        low = data[0] << 16 | data[n >> 1] << 24 | data[n - 1] | n << 8
        high = rotl(swap32(low), 13, 32)
        return (avalanche64(low ^ u32(SECRET, 0) ^ u32(SECRET, 4)), avalanche64(high ^ u32(SECRET, 8) ^ u32(SECRET, 12)))
    if n <= 8:
        key = u32(data, 0) + (u32(data, n - 4) << 32) ^ u64(SECRET, 16) ^ u64(SECRET, 24)
        product = key * (P64_1 + (n << 2))
        low, high = product & M64, product >> 64
        high = high + (low << 1) & M64
        low ^= high >> 3
        low = (low ^ low >> 35) * 0x9FB21C651E98DF25 & M64
        return low ^ low >> 28, avalanche(high)
    if n <= 16:
        low_in, high_in = u64(data, 0), u64(data, n - 8)
        product = (low_in ^ high_in ^ u64(SECRET, 32) ^ u64(SECRET, 40)) * P64_1
        low, high = (product & M64) + (n - 1 << 54) & M64, product >> 64
        high_in ^= u64(SECRET, 48) ^ u64(SECRET, 56)
        high = high + high_in + (high_in & 0xffffffff) * (P32_2 - 1) & M64
        product = (low ^ swap64(high)) * P64_2
        return avalanche(product & M64), avalanche((product >> 64) + high * P64_2 & M64)
    if n <= 240:
        low, high = n * P64_1, 0

        def mix32(a, b, secret_at):
            nonlocal low, high
            low = low + mix16(data, a, secret_at) & M64 ^ (u64(data, b) + u64(data, b + 8) & M64)
            high = high + mix16(data, b, secret_at + 16) & M64 ^ (u64(data, a) + u64(data, a + 8) & M64)

        if n <= 128:
            for i in range((n - 1) // 32, -1, -1):
                mix32(16 * i, n - 16 - 16 * i, 32 * i)
        else:
            for at in range(0, 128, 32):
                mix32(at, at + 16, at)
            low, high = avalanche(low), avalanche(high)
            for at in range(128, n - 31, 32):
                mix32(at, at + 16, at - 128 + 3)
            mix32(n - 16, n - 32, 136 - 17 - 16)
        return avalanche(low + high & M64), -avalanche(low * P64_1 + high * P64_4 + n * P64_2 & M64) & M64
    acc = long_accumulators(data, SECRET)
    return merge(acc, SECRET, 11, n * P64_1 & M64), merge(acc, SECRET, 192 - 64 - 11, ~(n * P64_2) & M64)


def xxh3_128(data):
    """In canonical order: the high half first, both big-endian."""
    low, high = halves_128(data)
    return struct.pack(">QQ", high, low)
