/*
 * Laws of memory: what coding may take is known before it begins, is never less than what it takes, and seldom much more;
 * a limit is kept, and refused in advance with a line that says what it would take.
 */
#include "base/checked.h"
#include "base/hash.h"
#include "pipeline/container.h"
#include "tests/support/made_container.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const specs[] = {
    "seed",
    "balanced",
    "fast",
    "max",
    "store",
    "zstd:level=19",
    "zstd:level=9:long=20",
    "zstd:level=3:prefix=yes",
    "xz:level=6",
    "bzip2",
    "brotli:quality=5",
    "brotli:quality=9:lgwin=24",
    "huffman",
    "lz4hc",
    "exponent-split+byte-group+zstd//store/bit-shuffle+zlib",
    "exponent-split+rans/store",
    "delta-ulp+byte-group+zstd",
    "delta-xor+exponent-split+byte-group+xz//zstd",
    "byte-group+zstd:level=1:prefix=yes",
};
enum { N_SPECS = sizeof specs / sizeof specs[0], N_OLDER = 4 /* that are tried with an older base */ };

/*
 * Threads take as much as they have bundles for, and on a busy machine one may code them all before another starts. So they go
 * in step: who comes with bytes of the original waits until every thread has. Towards the end nobody waits, as there some
 * find nothing more to come with; before that each comes once.
 */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t turned;
    size_t n_threads, n_here;
    unsigned round;
    uint64_t n_left;    /* bytes that nobody came with yet */
    uint64_t n_at_hand; /* as many may be with threads: with no more than these left, others may have ended */
    size_t n_most_here; /* that were there at once */
};

static void gate_open(struct gate *gate, size_t n_threads, size_t chunk_bytes, uint64_t n_bytes)
{
    /* Bundles have at most a chunk's bytes here, and two are decoded side by side. */
    *gate =
        (struct gate){.n_threads = n_threads, .n_left = n_bytes, .n_at_hand = n_threads * 2 * chunk_bytes};
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->turned, NULL);
}

/* So many threads have been at work at once. */
static size_t gate_close(struct gate *gate)
{
    pthread_cond_destroy(&gate->turned);
    pthread_mutex_destroy(&gate->lock);
    return gate->n_most_here;
}

static void gate_pass(struct gate *gate, size_t n_bytes)
{
    pthread_mutex_lock(&gate->lock);
    unsigned round = gate->round;
    gate->n_left -= n_bytes;
    gate->n_here++;
    gate->n_most_here = mth_size_max(gate->n_most_here, gate->n_here);
    bool ends = gate->n_left <= (round ? gate->n_at_hand : 0);
    if (ends || gate->n_here == gate->n_threads) {
        gate->n_here = 0;
        gate->round++;
        pthread_cond_broadcast(&gate->turned);
    }
    while (gate->round == round)
        pthread_cond_wait(&gate->turned, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

/* Files in memory would need no buffers: these are read as files are. */
struct plain {
    struct mth_bytes bytes;
    struct gate *gate; /* of those who read bundles; NULL where none is to wait */
    const bool *begun; /* bundles are read, and no longer what they are planned by */
};

static int read_plain(void *state, uint64_t offset, void *dst, size_t n_bytes, struct mth_error *err)
{
    const struct plain *plain = state;
    (void)err;
    memcpy(dst, plain->bytes.data + offset, n_bytes);
    if (plain->gate && *plain->begun)
        gate_pass(plain->gate, n_bytes);
    return MTH_OK;
}

static struct mth_source plain_source(struct plain *plain)
{
    return (struct mth_source){
        .name = "plain", .n_bytes = plain->bytes.n_bytes, .fd = -1, .read = read_plain, .state = plain};
}

/* Where a container goes: what comes first, its front, says that planning is over. */
struct packed_sink {
    struct mth_buffer *out;
    bool begun;
};

static int put_growing(void *state, const void *data, size_t n_bytes, struct mth_error *err)
{
    struct packed_sink *packed = state;
    struct mth_buffer *out = packed->out;
    (void)err;
    packed->begun = true;
    if (out->n_bytes + n_bytes > out->capacity_bytes) {
        out->capacity_bytes = 2 * (out->n_bytes + n_bytes);
        out->data = realloc(out->data, out->capacity_bytes);
        assert_non_null(out->data);
    }
    memcpy(out->data + out->n_bytes, data, n_bytes);
    out->n_bytes += n_bytes;
    return MTH_OK;
}

/* Where an original goes, each bundle to its place. */
struct restored_sink {
    struct mth_buffer *out; /* with room for all of it */
    struct gate *gate;
};

static int put_in_place(void *state, uint64_t offset, const void *data, size_t n_bytes, struct mth_error *err)
{
    const struct restored_sink *restored = state;
    if (offset > restored->out->capacity_bytes || n_bytes > restored->out->capacity_bytes - offset)
        return mth_error_set(err, MTH_ERR_CAPACITY, "more than the original");
    memcpy(restored->out->data + offset, data, n_bytes);
    gate_pass(restored->gate, n_bytes);
    return MTH_OK;
}

struct setting {
    const struct made *input, *base, *older;
    size_t n_threads, chunk_bytes;
    bool verify;
};

/* What is coded against; [1] is the older one. */
struct against {
    struct plain plain[2];
    struct mth_source source[2];
    struct mth_stream_base base[2];
};

static const struct mth_stream_base *base_of(const struct setting *setting, struct against *against)
{
    const struct made *made[] = {setting->base, setting->older};
    for (size_t i = 0; i < 2 && made[i]; i++) {
        against->plain[i] = (struct plain){.bytes = {made[i]->data, (size_t)made[i]->map.n_bytes}};
        against->source[i] = plain_source(&against->plain[i]);
        against->base[i] = (struct mth_stream_base){.source = &against->source[i], .map = &made[i]->map};
    }
    if (setting->base && setting->older)
        against->base[0].older = &against->base[1];
    return setting->base ? &against->base[0] : NULL;
}

struct took {
    size_t peak_bytes;
    size_t n_threads; /* that had a bundle at the same time */
};

/* What compressing took, of an account of its own with this limit; the status. */
static int run_compress(const struct setting *setting, const char *spec, size_t limit, struct mth_buffer *out,
                        struct mth_memory_need *need, struct took *took, struct mth_error *err)
{
    struct mth_memory *memory = mth_memory_create(limit);
    struct mth_pipeline *pipeline;
    struct gate gate;
    struct packed_sink packed = {.out = out};
    struct plain plain = {.bytes = {setting->input->data, (size_t)setting->input->map.n_bytes},
                          .gate = &gate,
                          .begun = &packed.begun};
    struct mth_source source = plain_source(&plain);
    struct against against;
    const struct mth_stream_base *base = base_of(setting, &against);
    struct mth_sink sink = {.name = "out", .write = put_growing, .state = &packed, .fd = -1};
    struct mth_stream_config config = made_config(memory, setting->n_threads, setting->chunk_bytes);
    config.verify = setting->verify;
    int status = mth_pipeline_parse(spec, base != NULL, &pipeline, err);
    if (status)
        fail_msg("%s: %s", spec, err->text);
    out->n_bytes = 0;
    status = mth_compress_memory(pipeline, &setting->input->map, base ? 1 + (base->older != NULL) : 0u,
                                 &config, need, err);
    mth_memory_reset_peak(memory);
    gate_open(&gate, setting->n_threads, setting->chunk_bytes, plain.bytes.n_bytes);
    if (!status)
        status = mth_compress(pipeline, &source, &setting->input->map, base, NULL, &sink, &config, NULL, err);
    *took = (struct took){mth_memory_peak(memory), gate_close(&gate)};
    mth_pipeline_destroy(pipeline);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
    return status;
}

static int run_decompress(const struct setting *setting, const struct mth_buffer *packed, size_t limit,
                          struct mth_buffer *out, struct took *took, struct mth_error *err)
{
    struct mth_memory *memory = mth_memory_create(limit);
    struct plain plain = {.bytes = {packed->data, packed->n_bytes}};
    struct mth_source source = plain_source(&plain);
    struct against against;
    const struct mth_stream_base *base = base_of(setting, &against);
    /* What is of no use is not part of the container, and not wanted then. */
    if (base && packed->data[4] != MTH_CONTAINER_VERSION_OLDER)
        against.base[0].older = NULL;
    struct gate gate;
    struct restored_sink restored = {.out = out, .gate = &gate};
    struct mth_sink sink = {.name = "out", .write_at = put_in_place, .state = &restored, .fd = -1};
    struct mth_stream_config config = made_config(memory, setting->n_threads, 0);
    struct mth_input input;
    mth_input_source(&source, &input);
    size_t n_bytes = (size_t)setting->input->map.n_bytes;
    out->data = realloc(out->data, n_bytes);
    assert_non_null(out->data);
    memset(out->data, 0xa5, n_bytes);
    out->capacity_bytes = n_bytes;
    gate_open(&gate, setting->n_threads, setting->chunk_bytes, n_bytes);
    int status = mth_decompress(&input, base, &sink, &config, NULL, err);
    out->n_bytes = n_bytes - (size_t)gate.n_left;
    *took = (struct took){mth_memory_peak(memory), gate_close(&gate)};
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
    return status;
}

static bool knows(const char *spec, bool has_base)
{
    struct mth_pipeline *pipeline;
    struct mth_error err;
    if (mth_pipeline_parse(spec, has_base, &pipeline, &err))
        return false;
    bool needs_base = mth_pipeline_needs_base(pipeline);
    mth_pipeline_destroy(pipeline);
    return has_base || !needs_base;
}

/* The least limit under which it runs, to 5 %: what it says that it may take. */
static size_t least_limit(const struct setting *setting, size_t taken, const struct mth_buffer *packed,
                          struct mth_buffer *out)
{
    size_t low = taken / 2, high = 4 * taken + ((size_t)256 << 20);
    struct took took;
    while (high - low > high / 20) {
        struct mth_error err = {0};
        size_t middle = low + (high - low) / 2;
        int status = run_decompress(setting, packed, middle, out, &took, &err);
        if (status && status != MTH_ERR_LIMIT)
            fail_msg("a limit of %zu bytes is not refused in advance: %s", middle, err.text);
        *(status ? &low : &high) = middle;
    }
    return high;
}

/* No less than what was taken, and not much more; but brotli's buffers are only known roughly. */
static bool is_fair(size_t said, size_t taken, const struct setting *setting, const char *spec)
{
    size_t slack =
        ((8 + 4 * setting->n_threads) << 20) + (strstr(spec, "brotli") ? setting->n_threads << 26 : 0);
    return said >= taken && said <= 2 * taken + slack;
}

static void check(const struct setting *setting, const char *spec)
{
    struct mth_buffer packed = {0}, out = {0};
    struct mth_memory_need need;
    struct mth_error err = {0};
    struct took took;
    if (run_compress(setting, spec, 0, &packed, &need, &took, &err))
        fail_msg("%s: %s", spec, err.text);
    assert_int_equal(took.n_threads, setting->n_threads);
    if (!is_fair((size_t)need.total_bytes, took.peak_bytes, setting, spec))
        fail_msg("%s, %zu threads, chunks of %zu bytes%s: compress takes %zu bytes and says %llu", spec,
                 setting->n_threads, setting->chunk_bytes, setting->base ? ", a base" : "", took.peak_bytes,
                 (unsigned long long)need.total_bytes);
    if (run_decompress(setting, &packed, 0, &out, &took, &err))
        fail_msg("%s: %s", spec, err.text);
    assert_int_equal(took.n_threads, setting->n_threads);
    assert_int_equal(out.n_bytes, setting->input->map.n_bytes);
    assert_memory_equal(out.data, setting->input->data, out.n_bytes);
    size_t taken = took.peak_bytes, least = least_limit(setting, taken, &packed, &out);
    if (!is_fair(least, taken, setting, spec))
        fail_msg("%s, %zu threads, chunks of %zu bytes%s: decompress takes %zu bytes and says %zu", spec,
                 setting->n_threads, setting->chunk_bytes, setting->base ? ", a base" : "", taken, least);
    free(packed.data);
    free(out.data);
}

/* Tensors of several dtypes above and below a chunk. */
static struct made *made_mixed(size_t scale)
{
    struct made *made = made_begin();
    made_add_tensor(made, "", MTH_DTYPE_OPAQUE, 3000);
    made_add_tensor(made, "a", MTH_DTYPE_BF16, 100 * scale);
    for (size_t i = 0; i < 60; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%zu", i);
        made_add_tensor(made, name, i % 2 ? MTH_DTYPE_F32 : MTH_DTYPE_BF16, 300 + i);
    }
    made_add_tensor(made, "b", MTH_DTYPE_F32, 70 * scale);
    made_add_tensor(made, "c", MTH_DTYPE_I64, 10 * scale);
    made_add_tensor(made, "d", MTH_DTYPE_U8, 30 * scale);
    made_fill(made);
    return made;
}

static void what_it_may_take_is_known_before(void **state)
{
    (void)state;
    static const struct {
        size_t scale, chunk_bytes, n_threads;
        unsigned n_bases;
        bool verify;
    } cases[] = {
        {200, 4096, 1, 0, false},    {200, 4096, 3, 1, true},     {2000, 65536, 2, 1, false},
        {5000, 1 << 20, 2, 0, true}, {5000, 1 << 20, 1, 1, true}, {5000, 1 << 20, 2, 2, true},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct made *input = made_mixed(cases[c].scale), *base = made_base(input), *older = made_base(base);
        struct setting setting = {.input = input,
                                  .base = cases[c].n_bases > 0 ? base : NULL,
                                  .older = cases[c].n_bases > 1 ? older : NULL,
                                  .n_threads = cases[c].n_threads,
                                  .chunk_bytes = cases[c].chunk_bytes,
                                  .verify = cases[c].verify};
        for (size_t i = 0; i < N_SPECS; i++)
            if (knows(specs[i], cases[c].n_bases > 0) && (cases[c].n_bases < 2 || i < N_OLDER))
                check(&setting, specs[i]);
        made_free(input);
        made_free(base);
        made_free(older);
    }
}

static void a_limit_below_is_refused_before_anything_is_written(void **state)
{
    (void)state;
    struct made *input = made_mixed(2000);
    struct setting setting = {.input = input, .n_threads = 2, .chunk_bytes = 1 << 20, .verify = true};
    struct mth_buffer packed = {0}, out = {0};
    struct mth_memory_need need;
    struct mth_error err = {0};
    struct took took;
    assert_int_equal(run_compress(&setting, "xz:level=9", 0, &packed, &need, &took, &err), 0);
    size_t enough = (size_t)need.total_bytes + (1 << 20);
    assert_int_equal(run_compress(&setting, "xz:level=9", enough, &packed, &need, &took, &err), 0);
    assert_in_range(took.peak_bytes, 1, enough);
    assert_int_equal(run_compress(&setting, "xz:level=9", took.peak_bytes / 2, &out, &need, &took, &err),
                     MTH_ERR_LIMIT);
    assert_int_equal(out.n_bytes, 0);
    assert_non_null(strstr(err.text, "each of 2 threads"));
    assert_int_equal(run_decompress(&setting, &packed, 1 << 20, &out, &took, &err), MTH_ERR_LIMIT);
    assert_int_equal(out.n_bytes, 0);
    free(packed.data);
    free(out.data);
    made_free(input);
}

/* What a container says of itself takes no memory: one that promises chunks of 1 GiB is refused under a limit. */
static void a_container_that_asks_for_much_is_refused_under_a_limit(void **state)
{
    (void)state;
    struct made *input = made_mixed(100);
    struct setting setting = {.input = input, .n_threads = 4, .chunk_bytes = 1 << 20};
    struct mth_buffer packed = {0}, out = {0};
    struct mth_memory_need need;
    struct mth_error err = {0};
    struct took took;
    assert_int_equal(run_compress(&setting, "zstd", 0, &packed, &need, &took, &err), 0);
    packed.data[6] = 30;
    mth_store64(packed.data + 8, (uint64_t)1 << 40);
    mth_store64(packed.data + 16, mth_hash64(packed.data, 16, 0));
    assert_int_equal(run_decompress(&setting, &packed, (size_t)1 << 30, &out, &took, &err), MTH_ERR_LIMIT);
    assert_in_range(took.peak_bytes, 1, 8 << 20);
    /* Without a limit it fails at once where it can not hold what it promises. */
    mth_store64(packed.data + 8, (uint64_t)1 << 50);
    mth_store64(packed.data + 16, mth_hash64(packed.data, 16, 0));
    assert_int_equal(run_decompress(&setting, &packed, 0, &out, &took, &err), MTH_ERR_CORRUPT);
    assert_non_null(strstr(err.text, "too short"));
    assert_int_equal(out.n_bytes, 0);
    assert_in_range(took.peak_bytes, 1, 1 << 20);
    free(packed.data);
    free(out.data);
    made_free(input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_may_take_is_known_before),
        cmocka_unit_test(a_limit_below_is_refused_before_anything_is_written),
        cmocka_unit_test(a_container_that_asks_for_much_is_refused_under_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
