/*
 * Fuzz target: any bytes as the streams of any transform, and as elements that must come back.
 *
 *     0   u32   the transform: the low half of the XXH3-64 of its name
 *     4   8 u8  an option each: 0 its default, else a value of its range
 *     12  u8    bit 0: the bytes are elements; else they are streams
 *     13  u8    the elements' dtype
 *     14  u16   bytes of the elements, modulo 8192
 *     16        the references, then the streams or the elements; what is missing is made of what is there, repeated
 *
 * A stream of fixed size has just that, as the caller of an inverse checks; one of variable size has any up to its bound.
 * Whatever they are, the inverse ends with a status of the enum and writes nothing outside its room; when it says that all is
 * well it wrote every byte.
 */
#include "base/checked.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/rooms.h"
#include "transforms/transform_registry.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD_BYTES = 16, ENCODE = 1 << 0, MAX_BYTES = 8191 };

static struct rooms rooms;

static void must(int holds)
{
    if (!holds)
        abort();
}

static const struct mth_transform *find_transform(uint32_t name)
{
    size_t n = 0;
    for (const struct mth_transform *transform; (transform = mth_transform_at(n)) != NULL; n++) {
        if (input_name(transform->name) == name)
            return transform;
    }
    return mth_transform_at(name % n);
}

/* n bytes that end where memory ends: the next of rest, from its start again when it ends. */
static uint8_t *take(struct mth_bytes rest, size_t *at, size_t n)
{
    uint8_t *bytes = rooms_take(&rooms, n);
    if (rest.n_bytes == 0)
        memset(bytes, 0, n);
    for (size_t done = 0, piece; rest.n_bytes && done < n; done += piece) {
        size_t from = *at % rest.n_bytes;
        piece = mth_size_min(n - done, rest.n_bytes - from);
        memcpy(bytes + done, rest.data + from, piece);
        *at += piece;
    }
    return bytes;
}

static void check_status(int status)
{
    must(status <= 0 && status >= MTH_STATUS_LAST && status != MTH_ERR_INTERNAL);
}

/* One run of the target. */
struct trial {
    const struct mth_transform *transform;
    struct mth_transform_job job;
    struct mth_stream_plan plans[MTH_MAX_STREAMS];
    struct mth_bytes rest;
    size_t at;
};

static int inverse(const struct trial *trial, const struct mth_bytes *streams, uint8_t *dst, int poison)
{
    memset(dst, poison, trial->job.n_bytes);
    int status = trial->transform->inverse(&trial->job, streams, dst);
    check_status(status);
    rooms_check_front(dst);
    return status;
}

static void try_inverse(struct trial *trial)
{
    size_t n = trial->job.n_bytes;
    struct mth_bytes streams[MTH_MAX_STREAMS];
    uint8_t *dst = rooms_take(&rooms, n), *again = rooms_take(&rooms, n);
    for (size_t i = 0; i < trial->job.n_streams; i++) {
        const struct mth_stream_plan *plan = &trial->plans[i];
        size_t n_stream = plan->n_bytes;
        if (plan->flags & MTH_STREAM_VARIABLE)
            n_stream = mth_load32(take(trial->rest, &trial->at, 4)) % (plan->n_bytes + 1);
        streams[i] = (struct mth_bytes){take(trial->rest, &trial->at, n_stream), n_stream};
    }
    if (inverse(trial, streams, dst, 0x5a) == MTH_OK) {
        must(inverse(trial, streams, again, 0xc3) == MTH_OK);
        must(n == 0 || memcmp(dst, again, n) == 0);
    }
}

static void try_round_trip(struct trial *trial)
{
    size_t n = trial->job.n_bytes;
    struct mth_buffer streams[MTH_MAX_STREAMS];
    struct mth_bytes exact[MTH_MAX_STREAMS];
    uint8_t *src = take(trial->rest, &trial->at, n), *dst = rooms_take(&rooms, n);
    for (size_t i = 0; i < trial->job.n_streams; i++) {
        size_t capacity = trial->plans[i].n_bytes;
        streams[i] = (struct mth_buffer){rooms_take(&rooms, capacity), 0, capacity};
    }
    int status = trial->transform->forward(&trial->job, src, streams);
    check_status(status);
    for (size_t i = 0; i < trial->job.n_streams; i++) {
        bool is_fixed = !(trial->plans[i].flags & MTH_STREAM_VARIABLE);
        must(status || (is_fixed ? streams[i].n_bytes == trial->plans[i].n_bytes
                                 : streams[i].n_bytes <= trial->plans[i].n_bytes));
        exact[i] = (struct mth_bytes){streams[i].data, streams[i].n_bytes};
    }
    if (status == MTH_OK) {
        must(inverse(trial, exact, dst, 0x5a) == MTH_OK);
        must(n == 0 || memcmp(src, dst, n) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD_BYTES)
        return 0;
    rooms_reset(&rooms);
    struct trial trial = {.transform = find_transform(mth_load32(data)),
                          .rest = {data + HEAD_BYTES, size - HEAD_BYTES}};
    int64_t options[MTH_MAX_OPTIONS];
    input_options(trial.transform->options, trial.transform->n_options, data + 4, options);
    size_t n_bytes = ((size_t)data[14] | (size_t)data[15] << 8) & MAX_BYTES;
    struct mth_symbol_type type = mth_symbol_type_of((enum mth_dtype)(data[13] % MTH_N_DTYPES));
    size_t n_streams = 0;
    int status = trial.transform->plan(options, &type, n_bytes, trial.plans, &n_streams);
    check_status(status);
    if (status)
        return 0;
    must(n_streams >= 1 && n_streams <= MTH_MAX_STREAMS);
    struct mth_bytes references[MTH_MAX_REFERENCES];
    for (size_t i = 0; i < trial.transform->n_references; i++)
        references[i] = (struct mth_bytes){take(trial.rest, &trial.at, n_bytes), n_bytes};
    trial.job = (struct mth_transform_job){.options = options,
                                           .type = type,
                                           .n_bytes = n_bytes,
                                           .references = references,
                                           .plans = trial.plans,
                                           .n_streams = n_streams};
    if (data[12] & ENCODE)
        try_round_trip(&trial);
    else
        try_inverse(&trial);
    return 0;
}
