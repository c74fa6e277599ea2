/*
 * Laws of the lossy transforms: values move by no more than their quantizer allows, what can not be quantized is kept, the same
 * rows give the same bytes on every machine, and a container that lost something says so and restores to one thing only.
 */
#include "pipeline/container.h"
#include "tests/support/made_container.h"
#include "tests/support/patterns.h"
#include "tests/support/transform_run.h"

#include "base/checked.h"
#include "transforms/quantize/quantizer.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS, NOTED, NUMBERS, KEPT, N_ROWS = 50, ROW = 136, N_ELEMS = N_ROWS * ROW };

/* Of what all quantizers make of the same rows. */
#define GOLDEN_DIGEST 0xf16c776756c56d94ULL

static const unsigned all_bits[] = {2, 3, 4, 8};
enum { N_BITS = sizeof all_bits / sizeof all_bits[0], N_KINDS = 4 };

static struct mth_quantizer quantizer(unsigned kind, unsigned bits)
{
    return (struct mth_quantizer){
        .kind = (enum mth_quantizer_kind)kind, .bits = bits, .steps = 25, .tried = 12};
}

static void store(uint8_t *p, size_t i, float x)
{
    memcpy(p + 4 * i, &x, sizeof x);
}

static float load(const uint8_t *p, size_t i)
{
    float x;
    memcpy(&x, p + 4 * i, sizeof x);
    return x;
}

/* About normal, in exact steps: sums of twelve uniform numbers, scaled by powers of two. */
static void fill(uint8_t *rows, size_t n_elems, uint64_t seed)
{
    for (size_t i = 0; i < n_elems; i++) {
        int64_t sum = 0;
        for (unsigned k = 0; k < 12; k++)
            sum += (int64_t)(pattern_random(&seed) >> 44) - (1 << 19);
        store(rows, i, ldexpf((float)sum, -24 - (int)(i / ROW % 5)));
    }
}

static double squared_error(const struct mth_quantizer *q, const uint8_t *row, size_t n, double *largest)
{
    float noted[MTH_MAX_QUANTIZER_LEVELS];
    uint8_t codes[ROW], back[4 * ROW];
    double sum = 0;
    assert_true(mth_quantizer_fit(q, row, n, noted));
    mth_quantizer_encode(q, noted, row, n, codes);
    assert_true(mth_quantizer_is_valid(q, noted, codes, n));
    mth_quantizer_decode(q, noted, codes, n, back);
    *largest = 0;
    for (size_t i = 0; i < n; i++) {
        double e = fabs((double)load(back, i) - (double)load(row, i));
        *largest = e > *largest ? e : *largest;
        sum += e * e;
    }
    return sum;
}

static void values_move_by_half_a_step_at_most(void **state)
{
    (void)state;
    uint8_t rows[4 * N_ELEMS];
    fill(rows, N_ELEMS, 1);
    for (size_t r = 0; r < N_ROWS; r++) {
        const uint8_t *row = rows + 4 * ROW * r;
        float low = FLT_MAX, high = -FLT_MAX;
        for (size_t i = 0; i < ROW; i++) {
            low = fminf(low, load(row, i));
            high = fmaxf(high, load(row, i));
        }
        for (size_t b = 0; b < N_BITS; b++) {
            double most = 2 * (double)fmaxf(high, -low), steps = (1 << all_bits[b]) - 1, largest;
            struct mth_quantizer symmetric = quantizer(MTH_QUANTIZER_SYMMETRIC, all_bits[b]);
            struct mth_quantizer asymmetric = quantizer(MTH_QUANTIZER_ASYMMETRIC, all_bits[b]);
            squared_error(&symmetric, row, ROW, &largest);
            assert_true(largest <= most / steps / 2 * (1 + 1e-5));
            squared_error(&asymmetric, row, ROW, &largest);
            assert_true(largest <= ((double)high - (double)low) / steps / 2 * (1 + 1e-5));
        }
    }
}

static void searching_makes_rows_better_and_never_worse(void **state)
{
    (void)state;
    uint8_t rows[4 * N_ELEMS];
    double totals[N_KINDS] = {0}, largest;
    fill(rows, N_ELEMS, 2);
    for (size_t b = 0; b < N_BITS; b++) {
        for (size_t r = 0; r < N_ROWS; r++) {
            double errors[N_KINDS];
            for (unsigned k = 0; k < N_KINDS; k++) {
                struct mth_quantizer q = quantizer(k, all_bits[b]);
                errors[k] = squared_error(&q, rows + 4 * ROW * r, ROW, &largest);
                totals[k] += errors[k];
            }
            assert_true(errors[MTH_QUANTIZER_ADAPTIVE] <= errors[MTH_QUANTIZER_ASYMMETRIC] * (1 + 1e-5));
            assert_true(errors[MTH_QUANTIZER_K_MEANS] <= errors[MTH_QUANTIZER_ASYMMETRIC] * (1 + 1e-5));
        }
    }
    assert_true(totals[MTH_QUANTIZER_ADAPTIVE] < 0.8 * totals[MTH_QUANTIZER_ASYMMETRIC]);
    assert_true(totals[MTH_QUANTIZER_K_MEANS] < 0.8 * totals[MTH_QUANTIZER_ASYMMETRIC]);
    assert_true(totals[MTH_QUANTIZER_ASYMMETRIC] < totals[MTH_QUANTIZER_SYMMETRIC]);
}

static void rows_of_few_values_and_of_the_largest_come_back(void **state)
{
    (void)state;
    static const float hard[][4] = {
        {0, 0, 0, 0},
        {-0.0f, 0, -0.0f, 0},
        {1.5f, 1.5f, 1.5f, 1.5f},
        {-FLT_MAX, FLT_MAX, 0, 1},
        {FLT_MAX, FLT_MAX, FLT_MAX, -FLT_MAX},
        {FLT_TRUE_MIN, 0, -FLT_TRUE_MIN, 0},
        {FLT_MIN, FLT_TRUE_MIN, 0, 1e-40f},
        {-3, -3, 5, 5},
    };
    for (size_t i = 0; i < sizeof hard / sizeof hard[0]; i++) {
        uint8_t row[16], codes[4], back[16];
        float noted[MTH_MAX_QUANTIZER_LEVELS];
        for (size_t k = 0; k < 4; k++)
            store(row, k, hard[i][k]);
        for (unsigned k = 0; k < N_KINDS; k++)
            for (size_t b = 0; b < N_BITS; b++) {
                struct mth_quantizer q = quantizer(k, all_bits[b]);
                assert_true(mth_quantizer_fit(&q, row, 4, noted));
                mth_quantizer_encode(&q, noted, row, 4, codes);
                assert_true(mth_quantizer_is_valid(&q, noted, codes, 4));
                mth_quantizer_decode(&q, noted, codes, 4, back);
                for (size_t e = 0; e < 4; e++) {
                    double most = fmax(fabs((double)hard[i][0]), fabs((double)hard[i][1])) + 6;
                    assert_true(isfinite(load(back, e)));
                    assert_true(fabs((double)load(back, e) - (double)hard[i][e]) <= most);
                }
                /* One value is what a range of nothing begins with. */
                if (i < 3 && k != MTH_QUANTIZER_SYMMETRIC)
                    assert_true(load(back, 0) >= hard[i][0] && load(back, 0) <= hard[i][0]);
            }
    }
}

/* The same order of operations on every machine, contraction off: these bytes are part of what version 1 of the wire is. */
static void rows_are_quantized_to_the_same_bytes_everywhere(void **state)
{
    (void)state;
    uint8_t rows[4 * N_ELEMS], codes[ROW], back[4 * ROW];
    float noted[MTH_MAX_QUANTIZER_LEVELS];
    uint64_t digest = 0;
    fill(rows, N_ELEMS, 3);
    for (unsigned k = 0; k < N_KINDS; k++)
        for (size_t b = 0; b < N_BITS; b++)
            for (size_t r = 0; r < N_ROWS; r++) {
                struct mth_quantizer q = quantizer(k, all_bits[b]);
                size_t n = 1 + r * (ROW - 1) / (N_ROWS - 1);
                assert_true(mth_quantizer_fit(&q, rows + 4 * ROW * r, n, noted));
                mth_quantizer_encode(&q, noted, rows + 4 * ROW * r, n, codes);
                mth_quantizer_decode(&q, noted, codes, n, back);
                digest = mth_hash64(codes, mth_quantizer_code_bytes(&q, n), digest);
                digest = mth_hash64(back, 4 * n, digest);
            }
    if (digest != GOLDEN_DIGEST)
        fail_msg("the digest is %#llx", (unsigned long long)digest);
}

/* ---- the transforms ---- */

static void run_rows(struct transform_run *run, const char *name, const uint8_t *src, const uint8_t *base,
                     size_t n_bytes, struct mth_row_span *span)
{
    transform_run_forward(run, name, mth_symbol_type_of(MTH_DTYPE_F32), 0, src, base, n_bytes);
    run->job.spans = span;
    run->job.n_spans = 1;
    assert_int_equal(run->transform->forward(&run->job, src, run->streams), MTH_OK);
}

static void rows_with_odd_values_and_what_has_no_rows_are_kept(void **state)
{
    (void)state;
    static const float odd[] = {INFINITY, -INFINITY, NAN};
    uint8_t src[4 * N_ELEMS + 3], back[sizeof src];
    fill(src, N_ELEMS, 4);
    memcpy(src + 4 * N_ELEMS, "end", 3);
    for (size_t i = 0; i < 3; i++)
        store(src, 10 * ROW * (i + 1) + 7, odd[i]);
    for (unsigned has_rows = 0; has_rows < 2; has_rows++) {
        struct mth_row_span span = {.n_elems = N_ELEMS, .row_elems = has_rows ? ROW : 0};
        struct transform_run run;
        run_rows(&run, "quantize-rows", src, NULL, sizeof src, &span);
        assert_int_equal(transform_run_inverse(&run, back), MTH_OK);
        size_t n_kept = 0;
        for (size_t r = 0; r < N_ROWS; r++)
            n_kept += memcmp(src + 4 * ROW * r, back + 4 * ROW * r, 4 * ROW) == 0;
        assert_int_equal(n_kept, has_rows ? 3 : N_ROWS);
        assert_memory_equal(src + 4 * N_ELEMS, back + 4 * N_ELEMS, 3);
        assert_int_equal(run.streams[KEPT].n_bytes, 4 * ROW * n_kept + 3);
        for (size_t i = 0; i < 3; i++)
            assert_memory_equal(src + 40 * ROW * (i + 1), back + 40 * ROW * (i + 1), 4 * ROW);
        transform_run_end(&run);
    }
    /* Nothing at all, and less than an element. */
    for (size_t n = 0; n < 4; n++) {
        struct mth_row_span span = {.n_elems = 0, .row_elems = ROW};
        struct transform_run run;
        run_rows(&run, "quantize-rows", src, NULL, n, &span);
        assert_int_equal(transform_run_inverse(&run, back), MTH_OK);
        assert_memory_equal(src, back, n);
        transform_run_end(&run);
    }
}

static void rows_too_short_for_what_is_noted_are_kept(void **state)
{
    (void)state;
    uint8_t src[4 * 16], back[sizeof src];
    struct mth_row_span span = {.n_elems = 16, .row_elems = 2};
    struct transform_run run;
    fill(src, 16, 5);
    run_rows(&run, "quantize-rows", src, NULL, sizeof src, &span);
    assert_int_equal(run.streams[NUMBERS].n_bytes, 0);
    assert_int_equal(transform_run_inverse(&run, back), MTH_OK);
    assert_memory_equal(src, back, sizeof src);
    transform_run_end(&run);
}

/* Of a base that is the original, and of one that was quantized itself. */
static void rows_that_did_not_change_cost_two_bits(void **state)
{
    (void)state;
    uint8_t before[4 * N_ELEMS], base[4 * N_ELEMS], src[4 * N_ELEMS], alone[4 * N_ELEMS], back[4 * N_ELEMS];
    struct mth_row_span span = {.n_elems = N_ELEMS, .row_elems = ROW};
    struct transform_run run;
    fill(before, N_ELEMS, 6);
    memcpy(src, before, sizeof src);
    for (size_t r = 0; r < N_ROWS; r += 10)
        store(src, r * ROW + 3, 0.25f);
    run_rows(&run, "quantize-rows", src, NULL, sizeof src, &span);
    assert_int_equal(transform_run_inverse(&run, alone), MTH_OK);
    transform_run_end(&run);
    for (unsigned quantized = 0; quantized < 2; quantized++) {
        memcpy(base, before, sizeof base);
        if (quantized) {
            run_rows(&run, "quantize-rows", before, NULL, sizeof src, &span);
            assert_int_equal(transform_run_inverse(&run, base), MTH_OK);
            transform_run_end(&run);
        }
        run_rows(&run, "quantize-changed-rows", src, base, sizeof src, &span);
        assert_int_equal(run.streams[NOTED].n_bytes, 5 * 8);
        assert_int_equal(run.streams[NUMBERS].n_bytes, 5 * ROW / 2);
        assert_true(run.streams[ROWS].n_bytes < 10 + N_ROWS / 4);
        assert_int_equal(transform_run_inverse(&run, back), MTH_OK);
        for (size_t r = 0; r < N_ROWS; r++)
            assert_memory_equal(back + 4 * ROW * r, (r % 10 ? base : alone) + 4 * ROW * r, 4 * ROW);
        transform_run_end(&run);
    }
}

static void damaged_streams_are_refused_or_restore_to_finite_rows(void **state)
{
    (void)state;
    uint8_t src[4 * N_ELEMS], base[4 * N_ELEMS];
    struct mth_row_span span = {.n_elems = N_ELEMS, .row_elems = ROW};
    uint8_t *back = malloc(sizeof src);
    size_t n_refused = 0;
    uint64_t random = 7;
    assert_non_null(back);
    fill(base, N_ELEMS, 8);
    memcpy(src, base, sizeof src);
    fill(src, N_ELEMS / 2, 9);
    for (unsigned with_base = 0; with_base < 2; with_base++)
        for (size_t i = 0; i < 600; i++) {
            struct transform_run run;
            run_rows(&run, with_base ? "quantize-changed-rows" : "quantize-rows", src, base, sizeof src,
                     &span);
            struct mth_buffer *stream = &run.streams[i % 4];
            if (i % 3 == 0 && stream->n_bytes)
                stream->n_bytes -= 1 + pattern_random(&random) % stream->n_bytes;
            else if (stream->n_bytes)
                stream->data[pattern_random(&random) % stream->n_bytes] ^=
                    (uint8_t)(1 + pattern_random(&random) % 255);
            int status = transform_run_inverse(&run, back);
            assert_true(status == MTH_OK || status == MTH_ERR_CORRUPT);
            n_refused += status != MTH_OK;
            transform_run_end(&run);
        }
    assert_true(n_refused > 250);
    free(back);
}

/* ---- containers ---- */

/* A table, a matrix that is none, a bias, and what is no tensor. */
static struct made *make_model(uint64_t seed)
{
    struct made *made = made_begin();
    uint64_t shapes[][2] = {{N_ROWS * 20, ROW}, {ROW, ROW}};
    static const char *const names[] = {"item_embedding", "dense"};
    made_add_tensor(made, "", MTH_DTYPE_OPAQUE, 100);
    for (size_t i = 0; i < 2; i++) {
        uint64_t n = shapes[i][0] * shapes[i][1];
        struct mth_tensor tensor = {.n_elems = n, .dtype = MTH_DTYPE_F32};
        assert_int_equal(
            mth_region_map_add_region(&made->map, made->map.n_bytes, 4 * n, MTH_DTYPE_F32, &tensor.region),
            0);
        assert_int_equal(
            mth_region_map_add_tensor(&made->map, names[i], strlen(names[i]), shapes[i], 2, &tensor), 0);
        made->map.n_bytes += 4 * n;
    }
    made_add_tensor(made, "bias", MTH_DTYPE_F32, ROW);
    made_add_tensor(made, "counts", MTH_DTYPE_I64, 40);
    made_fill(made);
    fill(made->data + 100, (made->map.n_bytes - 100) / 4, seed);
    return made;
}

static int compress(const struct made *input, const struct made *base, const char *spec, size_t n_threads,
                    bool lossy, struct mth_buffer *out, struct mth_container_stats *stats)
{
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_stream_config config = made_config(memory, n_threads, 1 << 16);
    struct made_base_source against;
    struct mth_pipeline *pipeline;
    struct mth_source source;
    struct mth_sink sink;
    struct mth_error err = {0};
    config.lossy = lossy;
    config.verify = true;
    out->n_bytes = 0;
    mth_sink_memory(out, &sink);
    mth_source_memory("made", (struct mth_bytes){input->data, input->map.n_bytes}, &source);
    if (base)
        made_base_source(base, &against);
    assert_int_equal(mth_pipeline_parse(spec, base != NULL, &pipeline, &err), MTH_OK);
    int status = mth_compress(pipeline, &source, &input->map, base ? &against.base : NULL, NULL, &sink,
                              &config, stats, &err);
    mth_pipeline_destroy(pipeline);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
    return status;
}

static void only_tables_are_quantized_and_the_container_says_so(void **state)
{
    (void)state;
    struct made *made = make_model(10);
    size_t n = (size_t)made->map.n_bytes, n_table = (size_t)4 * N_ROWS * 20 * ROW;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_buffer out = {.data = malloc(2 * n), .capacity_bytes = 2 * n};
    struct mth_container_stats stats;
    struct mth_error err;
    uint8_t *back[2] = {malloc(n), malloc(n)};
    uint64_t hash = 0;
    assert_true(out.data && back[0] && back[1]);
    assert_int_equal(compress(made, NULL, "check-n-run:bits=4", 1, false, &out, &stats), MTH_ERR_USAGE);
    for (size_t threads = 1; threads <= 3; threads += 2) {
        assert_int_equal(compress(made, NULL, "check-n-run:bits=4", threads, true, &out, &stats), MTH_OK);
        assert_true(hash == 0 || hash == mth_hash64(out.data, out.n_bytes, 0));
        hash = mth_hash64(out.data, out.n_bytes, 0);
    }
    struct mth_bytes container = {out.data, out.n_bytes};
    assert_true(out.n_bytes < n - n_table + n_table / 6);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(made_decompress(memory, i + 1, container, NULL, i, back[i], n, &err), MTH_OK);
    assert_memory_equal(back[0], back[1], n);
    assert_memory_equal(back[0], made->data, 100);
    assert_memory_equal(back[0] + 100 + n_table, made->data + 100 + n_table, n - 100 - n_table);
    double sum = 0, most = 0;
    for (size_t i = 0; i < n_table / 4; i++) {
        double e = fabs((double)load(back[0] + 100, i) - (double)load(made->data + 100, i));
        sum += e;
        most = e > most ? e : most;
    }
    assert_true(stats.loss.is_lossy && sum > 0);
    assert_int_equal(stats.loss.n_elems, n_table / 4);
    assert_true(stats.loss.n_rows >= N_ROWS * 20);
    assert_true(fabs(stats.loss.sum_abs - sum) < 1e-9 * sum);
    assert_true(stats.loss.max_abs >= most && stats.loss.max_abs <= most);

    struct mth_stream_config config = made_config(memory, 1, 0);
    struct mth_container *opened;
    struct mth_container_info info;
    struct mth_source source;
    mth_source_memory("container", container, &source);
    assert_int_equal(mth_container_open(&source, &config, &opened, &err), MTH_OK);
    mth_container_describe(opened, &info);
    assert_memory_equal(&info.loss, &stats.loss, sizeof info.loss);
    mth_container_close(opened);

    /* One that hides it is refused. */
    assert_int_equal(out.data[5], MTH_HEAD_LOSSY);
    out.data[5] = 0;
    mth_store64(out.data + 16, mth_hash64(out.data, 16, 0));
    assert_int_equal(made_decompress(memory, 1, container, NULL, true, back[0], n, &err), MTH_ERR_CORRUPT);
    assert_non_null(strstr(err.text, "lossy"));
    for (size_t i = 0; i < 2; i++)
        free(back[i]);
    free(out.data);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
    made_free(made);
}

static void against_a_base_rows_that_stayed_are_the_base(void **state)
{
    (void)state;
    struct made *before = make_model(11), *after = make_model(11);
    size_t n = (size_t)before->map.n_bytes, n_alone;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_buffer out = {.data = malloc(2 * n), .capacity_bytes = 2 * n};
    struct mth_container_stats stats;
    struct mth_error err;
    uint8_t *back = malloc(n);
    assert_true(out.data && back);
    assert_int_equal(compress(after, NULL, "check-n-run:quantizer=k-means:bits=2", 1, true, &out, &stats), 0);
    n_alone = out.n_bytes;
    for (size_t r = 0; r < (size_t)N_ROWS * 20; r += 50)
        store(after->data + 100, r * ROW + 5, 0.25f);
    assert_int_equal(compress(after, before, "check-n-run:quantizer=k-means:bits=2", 1, true, &out, &stats),
                     0);
    assert_true(out.n_bytes < n_alone / 20);
    assert_int_equal(
        made_decompress(memory, 1, (struct mth_bytes){out.data, out.n_bytes}, before, false, back, n, &err),
        MTH_OK);
    size_t n_moved = 0;
    for (size_t r = 0; r < (size_t)N_ROWS * 20; r++) {
        bool moved = memcmp(back + 100 + 4 * ROW * r, before->data + 100 + 4 * ROW * r, 4 * ROW) != 0;
        assert_true(!moved || r % 50 == 0);
        n_moved += moved;
    }
    assert_int_equal(n_moved, N_ROWS * 20 / 50);
    free(back);
    free(out.data);
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
    made_free(before);
    made_free(after);
}

static void specs_keep_what_is_lossy_in_its_place(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "byte-group+quantize-rows+store",
        "quantize-rows+store,related",
        "check-n-run:bits=9",
        "check-n-run:bits=1",
        "check-n-run:quantizer=rounding",
        "check-n-run:bits=4+store",
        "seed:bits=4",
        "quantize-rows",
    };
    struct mth_pipeline *pipeline;
    struct mth_error err;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        for (int has_base = 0; has_base < 2; has_base++)
            if (mth_pipeline_parse(wrong[i], has_base, &pipeline, &err) != MTH_ERR_SPEC)
                fail_msg("%s is taken", wrong[i]);
    assert_int_equal(mth_pipeline_parse("check-n-run", true, &pipeline, &err), MTH_OK);
    assert_false(mth_pipeline_is_lossy(pipeline));
    mth_pipeline_destroy(pipeline);
    assert_int_equal(mth_pipeline_parse("check-n-run:quantizer=k-means:bits=3,seed", true, &pipeline, &err),
                     MTH_OK);
    assert_true(mth_pipeline_is_lossy(pipeline));
    assert_non_null(strstr(mth_pipeline_text(pipeline), "quantize-changed-rows@1:quantizer=k-means:bits=3"));
    mth_pipeline_destroy(pipeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_move_by_half_a_step_at_most),
        cmocka_unit_test(searching_makes_rows_better_and_never_worse),
        cmocka_unit_test(rows_of_few_values_and_of_the_largest_come_back),
        cmocka_unit_test(rows_are_quantized_to_the_same_bytes_everywhere),
        cmocka_unit_test(rows_with_odd_values_and_what_has_no_rows_are_kept),
        cmocka_unit_test(rows_too_short_for_what_is_noted_are_kept),
        cmocka_unit_test(rows_that_did_not_change_cost_two_bits),
        cmocka_unit_test(damaged_streams_are_refused_or_restore_to_finite_rows),
        cmocka_unit_test(only_tables_are_quantized_and_the_container_says_so),
        cmocka_unit_test(against_a_base_rows_that_stayed_are_the_base),
        cmocka_unit_test(specs_keep_what_is_lossy_in_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
