"""The peer's side of the protocol of docs/peers.md: one process compresses, another decompresses, each times itself.

An adapter gives `serve` its identity and a class derived from Adapter.
"""

import ctypes
import gc
import os
import sys
import time

PROTOCOL = "1"
# Memory as our own cells have it: what is freed is used again instead of being given back and faulted in anew, and
# pages are large where the system grants them.
MALLOC = ("glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=1099511627776:glibc.malloc.arena_max=1:"
          "glibc.malloc.hugetlb=1")


class Unsupported(Exception):
    """There is nothing for this dtype, or for pairs."""


class Adapter:
    """A library behind two calls that are timed; what is around them only turns its objects into bytes and back."""

    # Whether compress needs its input writable, and spoils it. It is then a bytearray, made anew for each pass.
    SPOILS_INPUT = False

    def __init__(self, n_threads, dtype, element_bytes):
        """Raises Unsupported for a dtype that the library has nothing for."""
        raise NotImplementedError

    def compress(self, data):
        """Timed. From the checkpoint's bytes."""
        raise NotImplementedError

    def stored(self, output):
        """All that a decoder needs, as bytes, of what compress gave."""
        return bytes(output)

    def loaded(self, data):
        """What decompress takes, of those bytes; in memory of its own at each call."""
        return bytes(bytearray(data))

    def decompress(self, data):
        """Timed."""
        raise NotImplementedError

    def restored(self, output):
        """The checkpoint's bytes, of what decompress gave."""
        return bytes(output)

    def compress_pair(self, data, base):
        """Timed. From the checkpoint's bytes, given those of the one before it."""
        raise Unsupported("there is nothing for pairs")

    def decompress_pair(self, data, base):
        """Timed."""
        raise Unsupported("there is nothing for pairs")


class XorOfPairs:
    """For libraries that have nothing for pairs: they are given the xor with the base, taken by numpy, as bytes.
    In front of Adapter among a class's bases; compress_xor may have settings of its own."""

    @staticmethod
    def xor(data, base):
        import numpy

        if len(data) != len(base):
            raise Unsupported("the xor is of two files of one length")
        return numpy.bitwise_xor(numpy.frombuffer(data, numpy.uint8), numpy.frombuffer(base, numpy.uint8)).tobytes()

    def compress_xor(self, xor):
        return self.compress(xor)

    def compress_pair(self, data, base):
        return self.compress_xor(self.xor(data, base))

    def decompress_pair(self, data, base):
        return self.xor(self.decompress(data), base)


def with_tail(frame, tail):
    """A frame, and up to 255 bytes that the library can not take, as bytes."""
    return b"".join((frame, tail, bytes((len(tail),))))


def without_tail(data):
    """Both of them again."""
    end = len(data) - 1 - data[-1]
    return bytes(memoryview(data)[:end]), data[end:-1]


class Sweep:
    """A buffer that is written and read to push everything else out of the caches."""

    def __init__(self, n_bytes):
        self.buffer = bytearray(n_bytes)
        self.address = (ctypes.c_char * n_bytes).from_buffer(self.buffer) if n_bytes else None
        self.value = 0

    def run(self):
        if not self.buffer:
            return
        self.value = self.value % 255 + 1
        ctypes.memset(self.address, self.value, len(self.buffer))
        # memset may go past the caches: reading does not.
        assert self.buffer.find(b"\0") == -1


class Worker:
    """Copies of the input, an output for each, and the passes between them."""

    def __init__(self, adapter, role, n_slots, sweep_bytes):
        self.adapter = adapter
        self.role = role
        self.code = adapter.compress if role == "compress" else adapter.decompress
        self.convert = adapter.stored if role == "compress" else adapter.restored
        self.renews = role == "compress" and adapter.SPOILS_INPUT
        self.sweep = Sweep(sweep_bytes)
        self.n_slots = n_slots
        self.original = b""
        self.bases = []
        self.slots = []
        self.outputs = []

    def take_base(self, data):
        pair = "compress_pair" if self.role == "compress" else "decompress_pair"
        if getattr(type(self.adapter), pair) is getattr(Adapter, pair):
            raise Unsupported("it has nothing for pairs")
        against = getattr(self.adapter, pair)
        self.bases = [data] if self.n_slots == 1 else [bytes(bytearray(data)) for _ in range(self.n_slots)]
        # The input's number leads to its base.
        self.code = lambda slot: against(self.slots[slot], self.bases[slot])

    def take(self, handed):
        """handed: a list with the bytes, from which they are taken, so that no copy more than asked for stays."""
        data = handed.pop()
        self.original = data if self.renews else b""
        if self.role == "compress":
            make = bytearray if self.renews else lambda data: bytes(bytearray(data))
        else:
            make = self.adapter.loaded
        if self.n_slots == 1 and (not self.renews if self.role == "compress" else
                                  type(self.adapter).loaded is Adapter.loaded):
            self.slots = [data]
        else:
            self.slots = [make(data) for _ in range(self.n_slots)]
        del data
        self.outputs = [None] * self.n_slots
        # Once each, so that memory for all outputs has been there before it is timed.
        for i in range(self.n_slots):
            self.prepare(i)
            self.outputs[i] = self.code(self.inputs()[i])

    def inputs(self):
        return range(self.n_slots) if self.bases else self.slots

    def prepare(self, slot):
        self.outputs[slot] = None
        if self.renews:
            self.slots[slot][:] = self.original

    def run(self, first, n):
        """Wall and processor time in nanoseconds of n passes that begin with cold caches."""
        slots = range(first, first + n)
        for i in slots:
            self.prepare(i)
        code, inputs, outputs = self.code, self.inputs(), self.outputs
        self.sweep.run()
        cpu = time.process_time_ns()
        wall = time.perf_counter_ns()
        for i in slots:
            outputs[i] = code(inputs[i])
        wall = time.perf_counter_ns() - wall
        cpu = time.process_time_ns() - cpu
        return wall, cpu

    def output(self, slot):
        return self.convert(self.outputs[slot])


def prepare(n_threads):
    """Before a library is loaded: how many processors it may see."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = str(n_threads)
    os.cpu_count = lambda: n_threads


def _answer(stream, words, load, state):
    """The line that answers a request, and the bytes that follow it."""
    if words[0] == "hello":
        if words[1] != PROTOCOL:
            return f"error this peer speaks version {PROTOCOL}, not {words[1]}", b""
        return f"ok {state['identity']}", b""
    if words[0] == "setup":
        n_threads, n_slots, sweep_bytes = map(int, words[2:5])
        prepare(n_threads)
        state["worker"] = Worker(load()(n_threads, words[5], int(words[6])), words[1], n_slots, sweep_bytes)
        return "ok", b""
    if words[0] == "base":
        data = stream.read(int(words[1]))
        state["worker"].take_base(data)
        return "ok", b""
    if words[0] == "data":
        state["worker"].take([stream.read(int(words[1]))])
        return "ok", b""
    if words[0] == "pass":
        return "ok {} {}".format(*state["worker"].run(int(words[1]), int(words[2]))), b""
    if words[0] == "output":
        data = state["worker"].output(int(words[1]))
        return f"ok {len(data)}", data
    return f"error no request is called {words[0]}", b""


def serve(identity, load):
    """Answer requests until there are no more. `load` imports the library and gives the adapter's class."""
    if os.environ.get("GLIBC_TUNABLES") != MALLOC:
        os.environ["GLIBC_TUNABLES"] = MALLOC
        os.execv(sys.executable, [sys.executable, "-B"] + sys.argv)
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Libraries that print must not break the protocol.
    os.dup2(2, 1)
    gc.disable()
    state = {"identity": identity}
    for line in iter(requests.readline, b""):
        try:
            text, payload = _answer(requests, line.decode("ascii").split(), load, state)
        except Unsupported as reason:
            text, payload = f"unsupported {reason}", b""
        except Exception as failure:  # what a library throws is its answer
            text, payload = f"error {type(failure).__name__}: {' '.join(str(failure).split())[:160]}", b""
        answers.write(text.encode("ascii", "replace") + b"\n")
        answers.write(payload)
        answers.flush()
