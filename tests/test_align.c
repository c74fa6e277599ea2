/* Laws of alignment: what was renamed, reshaped, grown, shrunk or converted since the base costs what changed in it. */
#include "base/checked.h"
#include "formats/region_align.h"
#include "tests/support/made_container.h"
#include "tests/support/patterns.h"
#include "transforms/predictors/float_convert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct mth_memory *memory;

enum { ROWS = 600, COLUMNS = 256, N_LAYERS = 6 };

static uint8_t *tensor_data(const struct made *made, size_t tensor)
{
    return made->data + made->map.regions[made->map.tensors[tensor].region].offset;
}

static size_t tensor_bytes(const struct made *made, size_t tensor)
{
    return (size_t)made->map.regions[made->map.tensors[tensor].region].n_bytes;
}

static void add(struct made *made, const char *name, enum mth_dtype dtype, uint64_t rows, uint64_t columns)
{
    const uint64_t shape[] = {rows, columns};
    made_add_shaped(made, name, dtype, shape, 2);
}

/* One element of 64 moves by a unit in the last place. */
static void step(uint8_t *data, size_t n_bytes, size_t width)
{
    for (size_t i = 0; i < n_bytes / width; i++) {
        if (made_random32() % 64 == 0)
            data[i * width] ^= 1;
    }
}

/* Two checkpoints of one layer more each time, with an opaque header; what each is filled with is up to the test. */
static struct made *layers(const char *format, enum mth_dtype dtype, uint64_t rows, uint64_t columns)
{
    struct made *made = made_begin();
    char name[64];
    made_add_tensor(made, "", MTH_DTYPE_OPAQUE, 300);
    for (int i = 0; i < N_LAYERS; i++) {
        snprintf(name, sizeof name, format, i);
        add(made, name, dtype, rows, columns);
    }
    made_add_tensor(made, "norm", dtype, COLUMNS);
    made_fill(made);
    return made;
}

/* Compresses, restores in every way, and returns the bytes; with "balanced" and with "max". */
static size_t stored(const char *spec, const struct made *input, const struct made *base,
                     struct mth_paired *paired)
{
    struct mth_container_stats stats;
    struct mth_bytes container = made_compress(memory, 2, 0, spec, input, base, &stats);
    made_assert_container(memory, 2, container, input, base);
    made_container_free(container);
    *paired = stats.paired;
    return container.n_bytes;
}

static const char *const specs[] = {"balanced", "max"};

static void renamed_tensors_are_found_by_their_content(void **state)
{
    (void)state;
    struct made *base = layers("layers.%d.weight", MTH_DTYPE_BF16, ROWS, COLUMNS),
                *input = layers("model.blocks.%d.w", MTH_DTYPE_BF16, ROWS, COLUMNS);
    struct mth_paired paired;
    /* In another order. */
    for (size_t i = 0; i < N_LAYERS; i++) {
        memcpy(tensor_data(input, i), tensor_data(base, (i + 2) % N_LAYERS), tensor_bytes(base, i));
        step(tensor_data(input, i), tensor_bytes(input, i), 2);
    }
    memcpy(tensor_data(input, N_LAYERS), tensor_data(base, N_LAYERS), tensor_bytes(base, N_LAYERS));
    for (size_t s = 0; s < 2; s++) {
        size_t n_bytes = stored(specs[s], input, base, &paired);
        assert_int_equal(paired.n_renamed, N_LAYERS);
        assert_int_equal(paired.n_same, 1);
        assert_int_equal(paired.n_new, 0);
        assert_true(n_bytes < input->map.n_bytes / 40);
    }
    made_free(base);
    made_free(input);
}

/* Each new name stands for a tensor of other content: nothing is taken for what it is not. */
static void tensors_of_other_content_are_new(void **state)
{
    (void)state;
    struct made *base = layers("layers.%d.weight", MTH_DTYPE_BF16, ROWS, COLUMNS),
                *input = layers("model.blocks.%d.w", MTH_DTYPE_BF16, ROWS, COLUMNS);
    struct mth_paired paired;
    size_t paired_bytes = stored("balanced", input, base, &paired);
    assert_int_equal(paired.n_new, N_LAYERS);
    assert_int_equal(paired.n_same, 1);
    size_t alone = stored("balanced", input, NULL, &paired);
    assert_true(paired_bytes < alone + alone / 1000 + 100);
    made_free(base);
    made_free(input);
}

static void reshaped_tensors_are_found_by_name(void **state)
{
    (void)state;
    struct made *base = layers("layers.%d", MTH_DTYPE_BF16, ROWS, COLUMNS),
                *input = layers("layers.%d", MTH_DTYPE_BF16, ROWS * 4, COLUMNS / 4);
    struct mth_paired paired;
    memcpy(input->data, base->data, base->map.n_bytes);
    for (size_t i = 0; i < N_LAYERS; i++)
        step(tensor_data(input, i), tensor_bytes(input, i), 2);
    for (size_t s = 0; s < 2; s++) {
        size_t n_bytes = stored(specs[s], input, base, &paired);
        assert_int_equal(paired.n_reshaped, N_LAYERS);
        assert_true(n_bytes < input->map.n_bytes / 40);
    }
    made_free(base);
    made_free(input);
}

/* More rows and fewer: of the rows that both have only the changes are stored. */
static void grown_and_shrunk_tensors_keep_their_rows(void **state)
{
    (void)state;
    static const uint64_t rows[][2] = {{ROWS, ROWS + 100}, {ROWS, ROWS - 100}, {ROWS, 3 * ROWS}};
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        uint64_t n_common = rows[k][0] < rows[k][1] ? rows[k][0] : rows[k][1];
        struct made *base = layers("layers.%d", MTH_DTYPE_BF16, rows[k][0], COLUMNS),
                    *input = layers("layers.%d", MTH_DTYPE_BF16, rows[k][1], COLUMNS);
        struct mth_paired paired;
        for (size_t i = 0; i < N_LAYERS; i++) {
            memcpy(tensor_data(input, i), tensor_data(base, i), n_common * COLUMNS * 2);
            step(tensor_data(input, i), n_common * COLUMNS * 2, 2);
        }
        size_t n_new = (rows[k][1] - n_common) * COLUMNS * 2 * N_LAYERS;
        for (size_t s = 0; s < 2; s++) {
            size_t alone = stored(specs[s], input, NULL, &paired);
            size_t n_bytes = stored(specs[s], input, base, &paired);
            size_t of_new = (size_t)((double)alone * (double)n_new / (double)input->map.n_bytes);
            assert_int_equal(paired.n_resized, N_LAYERS);
            assert_true(n_bytes < of_new + of_new / 50 + input->map.n_bytes / 40);
        }
        made_free(base);
        made_free(input);
    }
}

/* Where a row is longer nothing stands where it stood, and more dimensions are other rows: such a tensor is new, whatever its name. */
static void tensors_of_other_rows_are_not_resized(void **state)
{
    (void)state;
    static const uint64_t shapes[][3] = {
        {ROWS, COLUMNS + 1, 0}, {ROWS / 2, COLUMNS, 3}, {ROWS * COLUMNS + 3, 0, 0}, {1, COLUMNS / 2, 0}};
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++) {
        const uint64_t of_base[] = {ROWS, COLUMNS};
        struct made *base = made_begin(), *input = made_begin();
        struct mth_paired paired;
        made_add_shaped(base, "w", MTH_DTYPE_BF16, of_base, 2);
        made_add_shaped(input, "w", MTH_DTYPE_BF16, shapes[k], shapes[k][2] ? 3 : shapes[k][1] ? 2 : 1);
        made_add_tensor(base, "norm", MTH_DTYPE_BF16, COLUMNS);
        made_add_tensor(input, "norm", MTH_DTYPE_BF16, COLUMNS);
        made_fill(base);
        made_fill(input);
        stored("balanced", input, base, &paired);
        assert_int_equal(paired.n_resized, 0);
        assert_int_equal(paired.n_new, 1);
        assert_int_equal(paired.n_same, 1);
        made_free(base);
        made_free(input);
    }
}

/* From every float of 16 and 32 bits to every other. Narrower ones follow from the wider, wider ones begin with them. */
static void converted_tensors_are_rounded_or_widened(void **state)
{
    (void)state;
    static const enum mth_dtype floats[] = {MTH_DTYPE_F32, MTH_DTYPE_BF16, MTH_DTYPE_F16};
    for (size_t f = 0; f < 9; f++) {
        enum mth_dtype from = floats[f / 3], to = floats[f % 3];
        if (from == to)
            continue;
        struct made *base = layers("layers.%d", from, ROWS, COLUMNS),
                    *input = layers("layers.%d", to, ROWS + 50 * (f % 2), COLUMNS);
        struct mth_paired paired;
        size_t width = mth_dtype_lane_bytes(to), n_new = input->map.n_bytes - 300;
        for (size_t i = 0; i < N_LAYERS; i++) {
            mth_float_convert(from, to, ROWS * COLUMNS, tensor_data(base, i), tensor_data(input, i));
            step(tensor_data(input, i), ROWS * COLUMNS * width, width);
            n_new -= ROWS * COLUMNS * width;
        }
        for (size_t s = 0; s < 2; s++) {
            size_t n_bytes = stored(specs[s], input, base, &paired);
            assert_int_equal(paired.n_converted, N_LAYERS + 1);
            if (n_bytes > n_new + input->map.n_bytes / 40)
                fail_msg("%s to %s: %zu bytes", mth_dtype_info(from)->name, mth_dtype_info(to)->name,
                         n_bytes);
        }
        made_free(base);
        made_free(input);
    }
}

/* What a base has under a name that says nothing of it: it costs no more than alone. */
static void a_counterpart_that_is_none_costs_nothing(void **state)
{
    (void)state;
    struct made *base = layers("layers.%d", MTH_DTYPE_F32, ROWS / 2, COLUMNS),
                *input = layers("layers.%d", MTH_DTYPE_BF16, ROWS, COLUMNS);
    struct mth_paired paired;
    for (size_t s = 0; s < 2; s++) {
        size_t alone = stored(specs[s], input, NULL, &paired);
        size_t n_bytes = stored(specs[s], input, base, &paired);
        assert_int_equal(paired.n_converted, N_LAYERS + 1);
        assert_true(n_bytes < alone + alone / 1000 + 200);
    }
    made_free(base);
    made_free(input);
}

/* A header of n bytes that no codec makes smaller, of which the first are always the same, and a tensor. */
static struct made *headed(const char *format, size_t n_bytes)
{
    struct made *made = made_begin();
    made_add_tensor(made, "", MTH_DTYPE_OPAQUE, n_bytes);
    add(made, "weight", MTH_DTYPE_BF16, ROWS, COLUMNS);
    made->map.format = format;
    made_fill(made);
    pattern_fill(PATTERN_RANDOM, 7, made->data, n_bytes);
    memset(made->data + n_bytes, 0, tensor_bytes(made, 0));
    return made;
}

/* In front and behind: each is found in what is of its number. */
static void all_that_is_no_tensor_is_found(void **state)
{
    (void)state;
    enum { N = 3000 };
    struct made *both[2];
    for (int i = 0; i < 2; i++) {
        both[i] = made_begin();
        made_add_tensor(both[i], "", MTH_DTYPE_OPAQUE, N);
        add(both[i], "weight", MTH_DTYPE_BF16, ROWS, COLUMNS);
        made_add_tensor(both[i], "", MTH_DTYPE_OPAQUE, N);
        made_fill(both[i]);
        memset(both[i]->data, 0, (size_t)both[i]->map.n_bytes);
        pattern_fill(PATTERN_RANDOM, 7, both[i]->data, N);
        pattern_fill(PATTERN_RANDOM, 8, both[i]->data + both[i]->map.n_bytes - N, N);
        both[i]->data[200] ^= (uint8_t)i;
    }
    struct mth_paired paired;
    assert_in_range(stored("balanced", both[1], both[0], &paired), 1, 600);
    made_free(both[0]);
    made_free(both[1]);
}

static void what_is_no_tensor_is_found_in_a_base_of_the_same_format(void **state)
{
    (void)state;
    enum { HEADER = 5000, LITTLE = 480 /* a container of next to nothing */ };
    static const struct {
        size_t n_bytes, n_base;
        const char *spec, *format;
        size_t n_kept; /* of the header, about */
    } cases[] = {
        {HEADER, HEADER, "balanced", "test", 0},
        {HEADER, HEADER, "fast", "test", 0},
        {HEADER, HEADER, "max", "test", 0},
        {HEADER, HEADER + 400, "balanced", "test", 0},
        {HEADER + 400, HEADER, "balanced", "test", 400},
        {HEADER, HEADER, "balanced", "other", HEADER},
        {HEADER, HEADER, "seed", "test", HEADER}, /* one spec that takes bytes is what was asked for */
        {MTH_MIN_ALIGNED_OPAQUE_BYTES - 1, HEADER, "balanced", "test", MTH_MIN_ALIGNED_OPAQUE_BYTES - 1},
        {MTH_MIN_ALIGNED_OPAQUE_BYTES, HEADER, "balanced", "test", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct made *base = headed(cases[i].format, cases[i].n_base),
                    *input = headed("test", cases[i].n_bytes);
        struct mth_paired paired;
        input->data[200] ^= 1;
        size_t n_bytes = stored(cases[i].spec, input, base, &paired);
        if (n_bytes < cases[i].n_kept || n_bytes > cases[i].n_kept + LITTLE)
            fail_msg("case %zu: %zu bytes", i, n_bytes);
        assert_int_equal(paired.n_same, 1);
        made_free(base);
        made_free(input);
    }
}

/* Whatever the front says of a converted reference, and bundles of their places in it: an error, or the original. */
static void hostile_places_in_converted_references_do_no_harm(void **state)
{
    (void)state;
    struct made *base = made_begin(), *input = made_begin();
    made_add_tensor(base, "a", MTH_DTYPE_F32, 3000);
    made_add_tensor(input, "a", MTH_DTYPE_BF16, 3000);
    made_fill(base);
    made_fill(input);
    mth_float_convert(MTH_DTYPE_F32, MTH_DTYPE_BF16, 3000, base->data, input->data);
    step(input->data, 6000, 2);
    struct mth_container_stats stats;
    struct mth_bytes container = made_compress(memory, 1, 4096, "balanced", input, base, &stats);
    assert_int_equal(stats.paired.n_converted, 1);
    uint8_t *damaged = malloc(container.n_bytes), dst[6000];
    size_t n_refused = 0, n_restored = 0;
    assert_non_null(damaged);
    for (size_t i = 24; i < container.n_bytes; i++) {
        static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
        for (size_t v = 0; v < sizeof values; v++) {
            struct mth_error err = {0};
            memcpy(damaged, container.data, container.n_bytes);
            damaged[i] = damaged[i] == values[v] ? (uint8_t)(values[v] ^ 0x10) : values[v];
            made_repair(damaged, container.n_bytes);
            int status = made_decompress(memory, 1, (struct mth_bytes){damaged, container.n_bytes}, base,
                                         false, dst, sizeof dst, &err);
            n_refused += status != 0;
            n_restored += status == 0;
            if (status == 0)
                assert_memory_equal(dst, input->data, sizeof dst);
        }
    }
    assert_true(n_refused > n_restored);
    free(damaged);
    made_container_free(container);
    made_free(base);
    made_free(input);
}

/* Every value of 16 bits becomes wider and comes back; halves and their neighbours round as IEEE 754 has it. */
static void conversions_are_exact_where_they_can_be(void **state)
{
    (void)state;
    static const enum mth_dtype narrow[] = {MTH_DTYPE_BF16, MTH_DTYPE_F16};
    for (size_t f = 0; f < 2; f++) {
        for (uint32_t x = 0; x < 65536; x++) {
            uint8_t in[2] = {(uint8_t)x, (uint8_t)(x >> 8)}, wide[4], back[2];
            uint32_t quiet = f ? 0x7e00 | (x & 0x8000) : 0x7fc0;
            bool is_nan = f ? (x & 0x7fff) > 0x7c00 : (x & 0x7fff) > 0x7f80;
            mth_float_convert(narrow[f], MTH_DTYPE_F32, 1, in, wide);
            mth_float_convert(MTH_DTYPE_F32, narrow[f], 1, wide, back);
            assert_int_equal(back[0] | back[1] << 8, is_nan ? quiet : x);
            if (f && !is_nan && (x & 0x7fff) < 0x7c00) {
                float value;
                memcpy(&value, wide, 4); /* little-endian machines */
                double m = x & 0x3ff, e = x >> 10 & 31;
                double want = e == 0 ? m / 16777216 : (1024 + m) / 33554432 * (double)(1u << (unsigned)e);
                assert_true((double)value == (x >> 15 ? -want : want));
            }
        }
    }
}

static int set_up(void **state)
{
    (void)state;
    memory = mth_memory_create(0);
    return memory ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renamed_tensors_are_found_by_their_content),
        cmocka_unit_test(tensors_of_other_content_are_new),
        cmocka_unit_test(reshaped_tensors_are_found_by_name),
        cmocka_unit_test(grown_and_shrunk_tensors_keep_their_rows),
        cmocka_unit_test(tensors_of_other_rows_are_not_resized),
        cmocka_unit_test(converted_tensors_are_rounded_or_widened),
        cmocka_unit_test(a_counterpart_that_is_none_costs_nothing),
        cmocka_unit_test(all_that_is_no_tensor_is_found),
        cmocka_unit_test(what_is_no_tensor_is_found_in_a_base_of_the_same_format),
        cmocka_unit_test(hostile_places_in_converted_references_do_no_harm),
        cmocka_unit_test(conversions_are_exact_where_they_can_be),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
