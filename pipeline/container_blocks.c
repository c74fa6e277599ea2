/* Head, blocks, index, root and trailer of a container; see container.h. */
#include "pipeline/container.h"

#include "base/checked.h"

#include <float.h>
#include <string.h>

static const uint8_t head_magic[4] = {'M', 'T', 'H', 'C'};
static const uint8_t trailer_magic[8] = {'M', 'T', 'H', 'C', ' ', 'e', 'n', 'd'};

enum { ROOT_HAS_ATTRIBUTES = 1 << 16, ATTRIBUTES_BYTES = 16, NANOSECONDS = 1000000000, MAX_MODE = 07777 };

void mth_container_put_head(const struct mth_container_head *head, uint8_t out[MTH_HEAD_BYTES])
{
    memset(out, 0, MTH_HEAD_BYTES);
    memcpy(out, head_magic, sizeof head_magic);
    out[4] = (uint8_t)(head->version ? head->version : MTH_CONTAINER_VERSION);
    out[5] = head->is_lossy ? MTH_HEAD_LOSSY : 0;
    for (size_t n = head->chunk_bytes; n > 1; n >>= 1)
        out[6]++;
    mth_store64(out + 8, head->raw_bytes);
    mth_store64(out + 16, mth_hash64(out, 16, 0));
}

int mth_container_get_head(const uint8_t in[MTH_HEAD_BYTES], struct mth_container_head *head,
                           struct mth_error *err)
{
    if (memcmp(in, head_magic, sizeof head_magic) != 0)
        return mth_error_set(err, MTH_ERR_FORMAT, "is not a mithril container");
    if (in[4] > MTH_CONTAINER_VERSION_OLDER)
        return mth_error_set(err, MTH_ERR_UNSUPPORTED,
                             "is a container of version %u; this program reads versions up to %d", in[4],
                             MTH_CONTAINER_VERSION_OLDER);
    if (!mth_hash64_matches(in, 16, 0, mth_load64(in + 16)))
        return mth_error_set(err, MTH_ERR_CHECKSUM, "the head is damaged");
    if (in[5] > MTH_HEAD_LOSSY || in[7] != 0)
        return mth_error_set(err, MTH_ERR_UNSUPPORTED, "has the flags %02x %02x, which are unknown here",
                             in[5], in[7]);
    if (in[6] < MTH_MIN_CHUNK_LOG2 || in[6] > MTH_MAX_CHUNK_LOG2)
        return mth_error_set(err, MTH_ERR_CORRUPT, "has chunks of 2^%u bytes", in[6]);
    *head = (struct mth_container_head){.raw_bytes = mth_load64(in + 8),
                                        .version = in[4],
                                        .chunk_bytes = (size_t)1 << in[6],
                                        .is_lossy = in[5] == MTH_HEAD_LOSSY};
    return MTH_OK;
}

/* The seed takes in type, length and number: a block that moved, or whose head changed, does not match. */
static uint64_t block_seed(const uint8_t head[8], uint64_t number)
{
    return mth_hash64(head, 8, number);
}

void mth_block_put_head(enum mth_block_type type, struct mth_bytes body, uint64_t number,
                        uint8_t out[MTH_BLOCK_HEAD_BYTES])
{
    memset(out, 0, 4);
    out[0] = (uint8_t)type;
    mth_store32(out + 4, (uint32_t)body.n_bytes);
    mth_store64(out + 8, mth_hash64(body.data, body.n_bytes, block_seed(out, number)));
}

int mth_block_get_head(const uint8_t in[MTH_BLOCK_HEAD_BYTES], struct mth_block *block, struct mth_error *err)
{
    *block = (struct mth_block){.type = in[0], .n_bytes = mth_load32(in + 4), .checksum = mth_load64(in + 8)};
    memcpy(block->head, in, sizeof block->head);
    if (in[0] < MTH_BLOCK_SPEC || in[0] > MTH_BLOCK_LAYOUT)
        return mth_error_set(err, MTH_ERR_UNSUPPORTED, "has a block of type %u, which is unknown here",
                             in[0]);
    if (in[1] || in[2] || in[3])
        return mth_error_set(err, MTH_ERR_UNSUPPORTED, "has a block with flags, which are unknown here");
    if (in[0] != MTH_BLOCK_BUNDLE && in[0] != MTH_BLOCK_ROOT && block->n_bytes > MTH_MAX_FRONT_BLOCK_BYTES)
        return mth_error_set(err, MTH_ERR_CORRUPT, "has a block of %lu bytes", (unsigned long)block->n_bytes);
    return MTH_OK;
}

bool mth_block_matches(const struct mth_block *block, struct mth_bytes body, uint64_t number)
{
    return mth_hash64_matches(body.data, body.n_bytes, block_seed(block->head, number), block->checksum);
}

int mth_block_write(struct mth_block_writer *writer, enum mth_block_type type, uint64_t number,
                    struct mth_bytes body, struct mth_error *err)
{
    uint8_t head[MTH_BLOCK_HEAD_BYTES];
    if (body.n_bytes > UINT32_MAX)
        return mth_error_set(err, MTH_ERR_OVERFLOW, "a block of %zu bytes does not fit a container",
                             body.n_bytes);
    mth_block_put_head(type, body, number, head);
    int status = mth_sink_put(writer->sink, head, sizeof head, err);
    if (!status)
        status = mth_sink_put(writer->sink, body.data, body.n_bytes, err);
    writer->offset += sizeof head + body.n_bytes;
    return status;
}

void mth_trailer_put(uint64_t root_offset, uint64_t offset, uint8_t out[MTH_TRAILER_BYTES])
{
    mth_store64(out, root_offset);
    memcpy(out + 8, trailer_magic, sizeof trailer_magic);
    mth_store64(out + 16, mth_hash64(out, 16, offset));
}

int mth_trailer_get(const uint8_t in[MTH_TRAILER_BYTES], uint64_t offset, uint64_t *root_offset,
                    struct mth_error *err)
{
    if (memcmp(in + 8, trailer_magic, sizeof trailer_magic) != 0 ||
        !mth_hash64_matches(in, 16, offset, mth_load64(in + 16)))
        return mth_error_set(err, MTH_ERR_TRUNCATED,
                             "does not end as a container does: it was cut or damaged");
    *root_offset = mth_load64(in);
    return MTH_OK;
}

int mth_index_init(struct mth_index *index, struct mth_memory *memory)
{
    *index = (struct mth_index){.memory = memory};
    index->page =
        mth_memory_alloc(memory, MTH_PAGE_HEAD_BYTES + (size_t)MTH_PAGE_ENTRIES * MTH_PAGE_ENTRY_BYTES);
    index->leaves = mth_hash_stream_create();
    return index->page && index->leaves ? MTH_OK : MTH_ERR_NO_MEMORY;
}

void mth_index_free(struct mth_index *index)
{
    mth_memory_free(index->memory, index->page);
    mth_memory_free(index->memory, index->pages);
    if (index->leaves)
        mth_hash_stream_destroy(index->leaves);
    *index = (struct mth_index){.memory = index->memory};
}

void mth_index_add(struct mth_index *index, uint64_t offset, uint32_t n_raw, uint32_t n_block, uint64_t leaf)
{
    uint8_t *entry = index->page + MTH_PAGE_HEAD_BYTES + index->n_entries * MTH_PAGE_ENTRY_BYTES;
    if (index->n_entries == 0) {
        mth_store64(index->page, index->raw_offset);
        mth_store64(index->page + 8, offset);
    }
    mth_store32(entry, n_raw);
    mth_store32(entry + 4, n_block);
    mth_store64(entry + 8, leaf);
    mth_hash_stream_update(index->leaves, entry + 8, 8);
    index->n_entries++;
    index->n_bundles++;
    index->raw_offset += n_raw;
}

struct mth_bytes mth_index_page(const struct mth_index *index)
{
    return (struct mth_bytes){index->page, MTH_PAGE_HEAD_BYTES + index->n_entries * MTH_PAGE_ENTRY_BYTES};
}

int mth_index_end_page(struct mth_index *index, uint64_t offset)
{
    int status = mth_array_reserve(index->memory, &index->pages, &index->pages_capacity, index->n_pages + 1,
                                   sizeof *index->pages);
    if (status)
        return status;
    index->pages[index->n_pages++] =
        (struct mth_page_place){.offset = offset, .raw_offset = mth_load64(index->page)};
    index->n_entries = 0;
    return MTH_OK;
}

int mth_index_write_page(struct mth_index *index, struct mth_block_writer *writer, struct mth_error *err)
{
    uint64_t offset = writer->offset;
    if (index->n_entries == 0)
        return MTH_OK;
    int status = mth_block_write(writer, MTH_BLOCK_INDEX, index->n_pages, mth_index_page(index), err);
    if (status)
        return status;
    status = mth_index_end_page(index, offset);
    return status ? mth_error_set(err, status, "no memory for the index") : MTH_OK;
}

static int put_loss(struct mth_memory *memory, const struct mth_loss *loss, struct mth_growing *out)
{
    const double errors[] = {loss->sum_abs, loss->max_abs, loss->sum_l2};
    uint8_t bytes[8];
    int status = mth_growing_put_varint(memory, out, loss->n_elems);
    if (!status)
        status = mth_growing_put_varint(memory, out, loss->n_rows);
    for (size_t i = 0; !status && i < sizeof errors / sizeof errors[0]; i++) {
        uint64_t bits;
        memcpy(&bits, &errors[i], sizeof bits);
        mth_store64(bytes, bits);
        status = mth_growing_put(memory, out, bytes, sizeof bytes);
    }
    return status;
}

/* Errors are sums of magnitudes: neither negative nor infinite, nor anything where there are no values. */
static bool get_loss(struct mth_reader *reader, struct mth_loss *loss)
{
    double errors[3];
    if (!mth_varint_get(reader, &loss->n_elems) || !mth_varint_get(reader, &loss->n_rows) ||
        (size_t)(reader->end - reader->at) < 8 * sizeof errors / sizeof errors[0])
        return false;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++, reader->at += 8) {
        uint64_t bits = mth_load64(reader->at);
        memcpy(&errors[i], &bits, sizeof errors[i]);
        if (!(errors[i] >= 0 && errors[i] <= DBL_MAX) || (loss->n_elems == 0 && bits != 0))
            return false;
    }
    loss->is_lossy = true;
    loss->sum_abs = errors[0];
    loss->max_abs = errors[1];
    loss->sum_l2 = errors[2];
    return loss->n_rows <= loss->n_elems;
}

int mth_root_put(const struct mth_index *index, const struct mth_file_attributes *attributes,
                 const struct mth_loss *loss, struct mth_growing *out)
{
    struct mth_memory *memory = index->memory;
    struct mth_digest digest = mth_hash_stream_digest(index->leaves);
    uint64_t offset = 0, raw_offset = 0;
    uint8_t fixed[ATTRIBUTES_BYTES];
    int status = mth_growing_put_varint(memory, out, index->n_bundles);
    if (!status)
        status = mth_growing_put_varint(memory, out, index->front_end);
    if (!status)
        status = mth_growing_put(memory, out, digest.bytes, sizeof digest.bytes);
    /* Always of one size, so that what is known of a file does not change the size of its container. */
    mth_store32(fixed, attributes->known ? (attributes->mode & MAX_MODE) | ROOT_HAS_ATTRIBUTES : 0);
    mth_store32(fixed + 4, attributes->known ? attributes->mtime_ns : 0);
    mth_store64(fixed + 8, attributes->known ? (uint64_t)attributes->mtime_s : 0);
    if (!status)
        status = mth_growing_put(memory, out, fixed, sizeof fixed);
    if (!status)
        status = mth_growing_put_varint(memory, out, index->n_pages);
    for (size_t i = 0; !status && i < index->n_pages; i++) {
        status = mth_growing_put_varint(memory, out, index->pages[i].offset - offset);
        if (!status)
            status = mth_growing_put_varint(memory, out, index->pages[i].raw_offset - raw_offset);
        offset = index->pages[i].offset;
        raw_offset = index->pages[i].raw_offset;
    }
    if (!status && loss->is_lossy)
        status = put_loss(memory, loss, out);
    return status;
}

static bool get_attributes(struct mth_reader *reader, struct mth_file_attributes *attributes)
{
    *attributes = (struct mth_file_attributes){0};
    if (reader->end - reader->at < ATTRIBUTES_BYTES)
        return false;
    uint32_t mode = mth_load32(reader->at), nanoseconds = mth_load32(reader->at + 4);
    uint64_t seconds = mth_load64(reader->at + 8);
    reader->at += ATTRIBUTES_BYTES;
    if (!(mode & ROOT_HAS_ATTRIBUTES))
        return mode == 0 && nanoseconds == 0 && seconds == 0;
    *attributes = (struct mth_file_attributes){
        .known = true, .mode = mode & MAX_MODE, .mtime_s = (int64_t)seconds, .mtime_ns = nanoseconds};
    return (mode & ~(uint32_t)ROOT_HAS_ATTRIBUTES) <= MAX_MODE && nanoseconds < NANOSECONDS;
}

int mth_root_get(struct mth_bytes body, const struct mth_container_head *head, uint64_t root_offset,
                 struct mth_memory *memory, struct mth_root *root, struct mth_page_place **pages,
                 size_t *n_pages)
{
    struct mth_reader reader = {body.data, body.data + body.n_bytes};
    uint64_t n, step, raw_step;
    *pages = NULL;
    *n_pages = 0;
    if (!mth_varint_get(&reader, &root->n_bundles) || !mth_varint_get(&reader, &root->front_end) ||
        (size_t)(reader.end - reader.at) < sizeof root->digest.bytes)
        return MTH_ERR_CORRUPT;
    memcpy(root->digest.bytes, reader.at, sizeof root->digest.bytes);
    reader.at += sizeof root->digest.bytes;
    if (!get_attributes(&reader, &root->attributes) || !mth_varint_get(&reader, &n))
        return MTH_ERR_CORRUPT;
    /* A page takes two bytes here at least, and all but the last are full. */
    if (n > (uint64_t)(reader.end - reader.at) / 2 ||
        n != root->n_bundles / MTH_PAGE_ENTRIES + (root->n_bundles % MTH_PAGE_ENTRIES != 0))
        return MTH_ERR_CORRUPT;
    *pages = mth_memory_calloc(memory, (size_t)n, sizeof **pages);
    if (!*pages)
        return MTH_ERR_NO_MEMORY;
    uint64_t offset = 0, raw_offset = 0;
    for (uint64_t i = 0; i < n; i++) {
        if (!mth_varint_get(&reader, &step) || !mth_varint_get(&reader, &raw_step) ||
            !mth_u64_add(offset, step, &offset) || !mth_u64_add(raw_offset, raw_step, &raw_offset) ||
            step == 0 || (raw_step == 0) != (i == 0) || offset >= root_offset ||
            raw_offset >= head->raw_bytes)
            return MTH_ERR_CORRUPT;
        (*pages)[i] = (struct mth_page_place){.offset = offset, .raw_offset = raw_offset};
    }
    *n_pages = (size_t)n;
    root->loss = (struct mth_loss){0};
    if (head->is_lossy && !get_loss(&reader, &root->loss))
        return MTH_ERR_CORRUPT;
    return reader.at == reader.end && (n > 0) == (head->raw_bytes > 0) ? MTH_OK : MTH_ERR_CORRUPT;
}

bool mth_container_claims(const uint8_t *head, size_t n_head)
{
    return n_head >= sizeof head_magic && memcmp(head, head_magic, sizeof head_magic) == 0;
}
