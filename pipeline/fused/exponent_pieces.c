/*
 * exponent-split+rans/store and exponent-split+tiers/store: exponents are coded as they are split off, and joined as they are
 * decoded; see fused.h.
 */
#include "pipeline/fused/fused.h"

#include "base/cpu.h"
#include "codecs/rans/rans_pieces.h"
#include "codecs/tiers/tiers_pieces.h"
#include "transforms/exponent_split/exponent_kernels.h"

#include <string.h>

enum { EXPONENT, SIGN_MANTISSA };

/* What a codec does in pieces. */
typedef int encode_pieces(void *state, const struct mth_piece_feed *feed, struct mth_encode_job *job);
typedef int decode_pieces(void *state, const struct mth_decode_job *jobs, size_t n_jobs,
                          const struct mth_piece_drain *drain);

/* A run of elements beside its two streams. Positions in the stream of exponents are in bytes. */
struct run {
    const struct mth_exponent_format *format;
    size_t exponent_bytes, elem_bytes, n_elems;
    const uint8_t *src;
    uint8_t *sign_mantissa;
};

static struct run run_of(struct mth_symbol_type type, const struct mth_stream_plan *plans)
{
    const struct mth_exponent_format *format =
        mth_exponent_format_of(mth_exponent_kernels_of(mth_cpu_features()), &type);
    return (struct run){.format = format,
                        .exponent_bytes = format->exponent_bits > 8 ? 2 : 1,
                        .elem_bytes = format->lane_bits / 8u,
                        .n_elems = plans[EXPONENT].n_symbols};
}

/* Where the packed fields of element i begin; i is a multiple of 8. */
static size_t packed_at(const struct run *run, size_t i)
{
    return i / MTH_EXPONENT_GROUP_ELEMS * (1u + run->format->mantissa_bits);
}

/* Pieces begin at multiples of 8 elements, whatever an exponent takes. */
_Static_assert(MTH_PIECE_ALIGNMENT % (2 * MTH_EXPONENT_GROUP_ELEMS) == 0, "pieces are whole groups");

static void take(void *arg, size_t at, size_t n, uint8_t *room)
{
    const struct run *run = arg;
    size_t i = at / run->exponent_bytes;
    run->format->split(run->src + i * run->elem_bytes, n / run->exponent_bytes, room,
                       run->sign_mantissa + packed_at(run, i));
}

/* The fields beside the exponents of a sample go nowhere. */
static const uint8_t *sample(void *arg, size_t at, size_t n, uint8_t *room)
{
    enum { MOST_AT_ONCE = 128, ELEM_BYTES = 8 };
    const struct run *run = arg;
    uint8_t unused[(MOST_AT_ONCE + 1) * ELEM_BYTES], exponents[(MOST_AT_ONCE + 1) * 2];
    size_t width = run->exponent_bytes, done = 0;
    while (done < n) {
        size_t n_part = n - done < MOST_AT_ONCE ? n - done : MOST_AT_ONCE;
        size_t first = (at + done) / width, skip = (at + done) % width;
        size_t n_elems = (skip + n_part + width - 1) / width;
        run->format->split(run->src + first * run->elem_bytes, n_elems, exponents, unused);
        memcpy(room + done, exponents + skip, n_part);
        done += n_part;
    }
    return room;
}

static int encode_by(encode_pieces *codec, const struct mth_fused_encode_job *job)
{
    struct run run = run_of(job->type, job->plans);
    const struct mth_piece_feed feed = {.sample = sample, .take = take, .arg = &run};
    size_t n_tail = job->src.n_bytes - run.n_elems * run.elem_bytes;
    run.src = job->src.data;
    run.sign_mantissa = job->stored;
    if (n_tail)
        memcpy(job->stored + job->plans[SIGN_MANTISSA].n_bytes - n_tail,
               job->src.data + job->src.n_bytes - n_tail, n_tail);
    return codec(job->state, &feed, job->coded);
}

struct join {
    const struct mth_fused_decode_job *jobs;
    struct run run; /* of the job in turn: the format is that of all */
};

static int put(void *arg, size_t job_index, size_t at, const uint8_t *bytes, size_t n)
{
    const struct join *join = arg;
    const struct run *run = &join->run;
    const struct mth_fused_decode_job *job = &join->jobs[job_index];
    size_t i = at / run->exponent_bytes;
    return run->format->join(bytes, job->stored.data + packed_at(run, i), n / run->exponent_bytes,
                             job->dst + i * run->elem_bytes);
}

static int decode_by(decode_pieces *codec, struct mth_symbol_type type, void *state,
                     const struct mth_fused_decode_job *jobs, size_t n_jobs)
{
    enum { MAX_JOBS = 4 };
    struct mth_decode_job coded[MAX_JOBS];
    struct join join = {.jobs = jobs};
    const struct mth_piece_drain drain = {.put = put, .arg = &join};
    if (n_jobs == 0 || n_jobs > MAX_JOBS)
        return MTH_ERR_INTERNAL;
    join.run = run_of(type, jobs[0].plans);
    for (size_t j = 0; j < n_jobs; j++) {
        size_t n_tail = jobs[j].dst_bytes % join.run.elem_bytes;
        if (n_tail)
            memcpy(jobs[j].dst + jobs[j].dst_bytes - n_tail,
                   jobs[j].stored.data + jobs[j].stored.n_bytes - n_tail, n_tail);
        coded[j] = (struct mth_decode_job){.src = jobs[j].coded,
                                           .type = jobs[j].plans[EXPONENT].type,
                                           .model = jobs[j].model,
                                           .dst_bytes = jobs[j].plans[EXPONENT].n_bytes};
    }
    return codec(state, coded, n_jobs, &drain);
}

static int encode_rans(const struct mth_fused_encode_job *job)
{
    return encode_by(mth_rans_encode_pieces, job);
}

static int decode_rans(const struct mth_node *node, struct mth_symbol_type type, void *state,
                       const struct mth_fused_decode_job *jobs, size_t n_jobs)
{
    (void)node;
    return decode_by(mth_rans_decode_pieces, type, state, jobs, n_jobs);
}

const struct mth_fused mth_fused_exponent_rans = {
    .pattern = "exponent-split+rans/store",
    .coded_stream = EXPONENT,
    .encode = encode_rans,
    .takes = mth_rans_has_pieces,
    .decode = decode_rans,
};

static int encode_tiers(const struct mth_fused_encode_job *job)
{
    return encode_by(mth_tiers_encode_pieces, job);
}

static int decode_tiers(const struct mth_node *node, struct mth_symbol_type type, void *state,
                        const struct mth_fused_decode_job *jobs, size_t n_jobs)
{
    (void)node;
    return decode_by(mth_tiers_decode_pieces, type, state, jobs, n_jobs);
}

const struct mth_fused mth_fused_exponent_tiers = {
    .pattern = "exponent-split+tiers/store",
    .coded_stream = EXPONENT,
    .encode = encode_tiers,
    .takes = mth_tiers_has_pieces,
    .decode = decode_tiers,
};
