"""bsdiff4: the patch format of bsdiff, bytewise differences and copies by bzip2. https://github.com/ilanschnell/bsdiff4"""

from importlib.metadata import version

import peer


def load():
    import bsdiff4

    class Bsdiff(peer.Adapter):
        def __init__(self, n_threads, dtype, element_bytes):
            pass

        def compress(self, data):
            raise peer.Unsupported("it has nothing for a checkpoint alone")

        def compress_pair(self, data, base):
            return bsdiff4.diff(base, data)

        def decompress_pair(self, data, base):
            return bsdiff4.patch(base, data)

    return Bsdiff


peer.serve(f"bsdiff4@{version('bsdiff4')}:compressor=bzip2", load)
