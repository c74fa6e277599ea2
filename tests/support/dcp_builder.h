/* Checkpoints of torch.distributed.checkpoint made in memory: .metadata written by hand, and files of archives. */
#ifndef MTH_TESTS_DCP_BUILDER_H
#define MTH_TESTS_DCP_BUILDER_H

#include "formats/dcp.h"
#include "tests/support/map_bytes.h"

#include "base/bytes.h"

/* Pieces of pickles: where a chunk begins, as the field of an index. */
#define DCP_NO_PLACE      "N"
#define DCP_PLACE_0       "ctorch\nSize\n)\x85R" /* of a scalar */
#define DCP_PLACE_1(a)    "ctorch\nSize\nK" a "\x85\x85R"
#define DCP_PLACE_2(a, b) "ctorch\nSize\nK" a "K" b "\x86\x85R"

/* Bytes on their way; all zeros is none. The caller frees data. */
void dcp_put(struct mth_buffer *bytes, const void *data, size_t n_bytes);
void dcp_put_text(struct mth_buffer *bytes, const char *text);
/* A string, as a pickle has it. */
void dcp_put_string(struct mth_buffer *bytes, const char *text);

/* Begin the pickle of a Metadata, add items to its storage_data, end it. */
void dcp_begin(struct mth_buffer *metadata);
void dcp_item(struct mth_buffer *metadata, const char *name, const char *place, const char *file,
              int32_t offset, int32_t n_bytes);
void dcp_end(struct mth_buffer *metadata);

/* Put the archive of a lone tensor of 12 F32 behind what is there; returns how many bytes it has. */
size_t dcp_put_tensor(struct mth_buffer *file);
/* The same of any pickle, which may refer to storages of torch_files.h. */
size_t dcp_put_pickle(struct mth_buffer *file, const void *pickle, size_t n_pickle);

/* Map a file that .metadata (NULL: none) tells of, on one account. As map_bytes otherwise. */
void dcp_map(struct mapped *mapped, const struct mth_buffer *metadata, const struct mth_buffer *file,
             size_t limit_bytes);

#endif
