/* Checkpoints of PyTorch made in memory from pickles written by hand. */
#ifndef MTH_TESTS_TORCH_FILES_H
#define MTH_TESTS_TORCH_FILES_H

#include "tests/support/map_bytes.h"

#include "base/bytes.h"

/* Pieces of pickles. Numbers are opcodes: "K\3" is 3, "K\3K\4\x86" is (3, 4). */
#define STORAGE(class, key, n_elems) "(\x8c\7storagectorch\n" class "\n\x8c\1" key "\x8c\3cpu" n_elems "tQ"
#define REBUILD(storage, offset, size, stride)                               \
    "ctorch._utils\n_rebuild_tensor_v2\n(" storage offset size stride "\x89" \
    "ccollections\nOrderedDict\n)RtR"
/* Three of the twelve F32 of storage 0. */
#define VECTOR REBUILD(STORAGE("FloatStorage", "0", "K\x0c"), "K\0", "K\3\x85", "K\1\x85")

enum { STORAGE_BYTES = 48 };

/* An archive of a pickle and two storages of 48 bytes, 0 and 1. The caller frees it. */
struct mth_buffer torch_archive(const void *pickle, size_t n_pickle);

/* Map such an archive. */
void torch_map_pickle(struct mapped *mapped, const void *pickle, size_t n_pickle);

/* Map a pickle that must be fine, and compare the names of its tensors, in their order, with a space behind each. */
void torch_names(const void *pickle, size_t n_pickle, const char *wanted);

/* Map a pickle, or a file, which is freed, and expect this status and these words in the line. */
void torch_refused(const void *pickle, size_t n_pickle, int status, const char *words);
void torch_file_refused(struct mth_buffer file, int status, const char *words);

/* Of a literal without its STOP. */
#define NAMES(pickle, wanted)          torch_names(pickle ".", sizeof(pickle), wanted)
#define REFUSED(pickle, status, words) torch_refused(pickle ".", sizeof(pickle), status, words)

#endif
