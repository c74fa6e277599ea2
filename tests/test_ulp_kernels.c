/* Laws of the kernels of ulp-rans, one by one: each does what the specification says, as the plainest does, and touches nothing else. */
#include "tests/support/float_patterns.h"
#include "tests/support/guard.h"
#include "tests/support/patterns.h"
#include "tests/support/ulp_rig.h"

#include "codecs/ulp_rans/ulp_symbols.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_GROUPS = 4096, MAX_ELEMS = MAX_GROUPS * MTH_ULP_GROUP };

static const enum mth_dtype dtypes[] = {MTH_DTYPE_BF16,    MTH_DTYPE_F16,     MTH_DTYPE_F32, MTH_DTYPE_F64,
                                        MTH_DTYPE_F8_E4M3, MTH_DTYPE_F8_E5M2, MTH_DTYPE_U8,  MTH_DTYPE_I16,
                                        MTH_DTYPE_U32,     MTH_DTYPE_I64};
enum { N_DTYPES = sizeof dtypes / sizeof dtypes[0] };

static const struct mth_ulp_kernels *kernels[ULP_MAX_KERNELS];
static size_t n_kernels;
static struct mth_ulp_shuffles shuffles;

static int find_kernels(void **state)
{
    (void)state;
    n_kernels = ulp_runnable(kernels);
    mth_ulp_shuffles_fill(&shuffles);
    return 0;
}

/* ---- elements ---- */

static void contexts_are_how_far_exponents_lie_below_the_top(void **state)
{
    (void)state;
    static const unsigned tops[] = {0, 1, 14, 15, 16, 31, 120, 127, 255, 1023, 2047, 40000, 65535};
    enum { N_GROUPS = 2048, N = N_GROUPS * MTH_ULP_GROUP };
    for (size_t d = 0; d < N_DTYPES; d++) {
        struct mth_ulp_format format = ulp_format(dtypes[d]);
        size_t lane_bytes = format.lane_bits / 8;
        uint8_t *base = guard_alloc(N * lane_bytes), *out = guard_alloc(N);
        /* All 2^16 patterns of 16 bits, all 256 of 8. */
        uint64_t random = 1;
        for (size_t i = 0; i < N; i++)
            ulp_store(base + i * lane_bytes, lane_bytes > 2 ? pattern_random(&random) : i, format.lane_bits);
        for (size_t t = 0; t < sizeof tops / sizeof tops[0]; t++) {
            for (size_t k = 0; k < n_kernels; k++) {
                memset(out, 0x5a, N);
                kernels[k]->contexts(&format, base, N_GROUPS, tops[t], out);
                for (size_t i = 0; i < N; i++) {
                    uint64_t x = ulp_load(base + i * lane_bytes, format.lane_bits) >> format.mantissa_bits;
                    unsigned exponent = (unsigned)x & ((1u << format.exponent_bits) - 1);
                    unsigned below = exponent < tops[t] ? tops[t] - exponent : 0;
                    unsigned wanted = format.exponent_bits == 0 ? 0 : below < 15 ? below : 15;
                    if (out[i] != wanted)
                        fail_msg("%s, %s, top %u, exponent %u: %u", kernels[k]->name,
                                 mth_dtype_info(dtypes[d])->name, tops[t], exponent, out[i]);
                }
            }
        }
        guard_free(base, N * lane_bytes);
        guard_free(out, N);
    }
}

/* What analyze says of groups, by the definition. */
struct steps {
    uint32_t masks[MAX_GROUPS];
    uint8_t *bytes; /* guarded: exactly as many lanes as kernels are promised */
    size_t n, n_bytes;
};

static void define_steps(const struct mth_ulp_format *format, const uint8_t *src, const uint8_t *base,
                         size_t n_groups, struct steps *steps)
{
    size_t lane_bytes = format->lane_bits / 8;
    steps->n = 0;
    for (size_t i = 0; i < n_groups * MTH_ULP_GROUP; i++)
        steps->n += memcmp(src + i * lane_bytes, base + i * lane_bytes, lane_bytes) != 0;
    steps->n_bytes = steps->n * lane_bytes + MTH_ULP_SLACK_BYTES;
    steps->bytes = guard_alloc(steps->n_bytes);
    memset(steps->bytes, 0x5a, steps->n_bytes);
    uint8_t *at = steps->bytes;
    for (size_t g = 0; g < n_groups; g++) {
        steps->masks[g] = 0;
        for (size_t i = 0; i < MTH_ULP_GROUP; i++, src += lane_bytes, base += lane_bytes) {
            uint64_t step =
                ulp_step(format, ulp_load(base, format->lane_bits), ulp_load(src, format->lane_bits));
            steps->masks[g] |= (uint32_t)(step != 0) << i;
            /* Lanes are native; tests run where that is little-endian. */
            if (step)
                memcpy(at, &step, lane_bytes);
            at += step ? lane_bytes : 0;
        }
    }
}

/* All at once is what one by one is, of all groups or of all pairs of them, for a float of 16 bits whose exponent fills a byte at most. */
static void check_view(const struct mth_ulp_kernels *with, const struct mth_ulp_format *format,
                       const uint8_t *src, const uint8_t *base, size_t n_groups, const struct steps *wanted)
{
    enum { TOP = 21 };
    bool is_known = format->lane_bits == 16 && format->exponent_bits > 0 && format->exponent_bits <= 8;
    size_t lane_bytes = format->lane_bits / 8, n_active = 0;
    size_t least = is_known ? n_groups / 2 * 2 : 0, most = is_known ? n_groups : 0;
    size_t n_elems = most * MTH_ULP_GROUP, n_room = n_elems + MTH_ULP_SLACK_BYTES;
    uint8_t *contexts = guard_alloc(n_elems), *all = guard_alloc(n_elems), *changed = guard_alloc(n_room),
            *collected = guard_alloc(n_room), *steps = guard_alloc(wanted->n_bytes);
    static uint32_t masks[MAX_GROUPS];
    struct mth_ulp_view view = {.masks = masks, .steps = steps, .contexts = contexts, .changed = changed};
    size_t n = with->view(format, &shuffles, TOP, src, base, n_groups, &view);
    assert_in_range(n, least, most);
    kernels[0]->contexts(format, base, n, TOP, all);
    size_t n_changed = kernels[0]->collect(&shuffles, all, n, wanted->masks, collected);
    for (size_t g = 0; g < n; g++)
        n_active += wanted->masks[g] != 0;
    if (n) {
        assert_int_equal(view.n_changed, n_changed);
        assert_int_equal(view.n_active, n_active);
        assert_memory_equal(masks, wanted->masks, n * sizeof *masks);
        assert_memory_equal(contexts, all, n * MTH_ULP_GROUP);
        assert_memory_equal(changed, collected, n_changed);
        assert_memory_equal(steps, wanted->bytes, n_changed * lane_bytes);
    }
    guard_free(contexts, n_elems);
    guard_free(all, n_elems);
    guard_free(changed, n_room);
    guard_free(collected, n_room);
    guard_free(steps, wanted->n_bytes);
}

static void check_elements(const struct mth_ulp_format *format, const uint8_t *src, const uint8_t *base,
                           size_t n_groups)
{
    static struct steps wanted;
    static uint32_t masks[MAX_GROUPS];
    size_t n_bytes = n_groups * MTH_ULP_GROUP * (format->lane_bits / 8);
    define_steps(format, src, base, n_groups, &wanted);
    uint8_t *steps = guard_alloc(wanted.n_bytes), *dst = guard_alloc(n_bytes);
    for (size_t k = 0; k < n_kernels; k++) {
        assert_int_equal(kernels[k]->analyze(format, &shuffles, src, base, n_groups, masks, steps), wanted.n);
        assert_memory_equal(masks, wanted.masks, n_groups * sizeof *masks);
        assert_memory_equal(steps, wanted.bytes, wanted.n * (format->lane_bits / 8));
        memset(dst, 0x5a, n_bytes);
        assert_int_equal(
            kernels[k]->merge(format, &shuffles, base, n_groups, wanted.masks, wanted.bytes, dst), wanted.n);
        if (memcmp(dst, src, n_bytes) != 0)
            fail_msg("%s, %u bits: others come back", kernels[k]->name, format->lane_bits);
        if (kernels[k]->view)
            check_view(kernels[k], format, src, base, n_groups, &wanted);
    }
    guard_free(steps, wanted.n_bytes);
    guard_free(dst, n_bytes);
    guard_free(wanted.bytes, wanted.n_bytes);
}

static void steps_are_differences_of_ordered_integers(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 3, 64, 200};
    for (size_t d = 0; d < N_DTYPES; d++) {
        struct mth_ulp_format format = ulp_format(dtypes[d]);
        for (int pair = 0; pair < ULP_N_PAIRS; pair++) {
            for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
                size_t n_elems = sizes[i] * MTH_ULP_GROUP, n = n_elems * (format.lane_bits / 8);
                uint8_t *src = guard_alloc(n), *base = guard_alloc(n);
                ulp_fill((enum ulp_pair)pair, dtypes[d], i, src, base, n_elems);
                check_elements(&format, src, base, sizes[i]);
                guard_free(src, n);
                guard_free(base, n);
            }
        }
    }
}

/* All 2^16 pairs of 8 bits, and of the 2^32 of 16 bits as many as a second has time for, none twice. */
static void steps_between_any_two_elements_are_right(void **state)
{
    (void)state;
    enum { N_ROUNDS = 24 };
    static uint8_t src[2 * MAX_ELEMS], base[2 * MAX_ELEMS];
    const enum mth_dtype wide[] = {MTH_DTYPE_BF16, MTH_DTYPE_I16},
                         narrow[] = {MTH_DTYPE_F8_E4M3, MTH_DTYPE_U8};
    uint32_t pair = 1;
    for (size_t i = 0; i < 1 << 16; i++) {
        src[i] = (uint8_t)i;
        base[i] = (uint8_t)(i >> 8);
    }
    for (size_t d = 0; d < 2; d++) {
        struct mth_ulp_format format = ulp_format(narrow[d]);
        check_elements(&format, src, base, (1 << 16) / MTH_ULP_GROUP);
    }
    for (size_t round = 0; round < N_ROUNDS; round++) {
        struct mth_ulp_format format = ulp_format(wide[round % 8 == 7]);
        for (size_t i = 0; i < MAX_ELEMS; i++) {
            pair += UINT32_C(0x9e3779b1);
            ulp_store(src + 2 * i, pair & 0xffff, 16);
            ulp_store(base + 2 * i, pair >> 16, 16);
        }
        check_elements(&format, src, base, MAX_GROUPS);
    }
}

static void contexts_of_changed_elements_are_gathered_in_order(void **state)
{
    (void)state;
    enum { N_GROUPS = 300 };
    uint8_t *contexts = guard_alloc(N_GROUPS * MTH_ULP_GROUP);
    uint64_t random = 1;
    pattern_fill(PATTERN_RANDOM, 1, contexts, N_GROUPS * MTH_ULP_GROUP);
    for (unsigned density = 0; density <= 8; density++) {
        uint32_t masks[N_GROUPS] = {0};
        static uint8_t wanted[N_GROUPS * MTH_ULP_GROUP];
        size_t n = 0;
        for (size_t i = 0; i < N_GROUPS * MTH_ULP_GROUP; i++) {
            bool is_set = pattern_random(&random) % 8 < density;
            masks[i / MTH_ULP_GROUP] |= (uint32_t)is_set << i % MTH_ULP_GROUP;
            if (is_set)
                wanted[n++] = contexts[i];
        }
        uint8_t *out = guard_alloc(n + MTH_ULP_SLACK_BYTES);
        for (size_t k = 0; k < n_kernels; k++) {
            memset(out, 0x5a, n + MTH_ULP_SLACK_BYTES);
            assert_int_equal(kernels[k]->collect(&shuffles, contexts, N_GROUPS, masks, out), n);
            assert_memory_equal(out, wanted, n);
        }
        guard_free(out, n + MTH_ULP_SLACK_BYTES);
    }
    guard_free(contexts, N_GROUPS * MTH_ULP_GROUP);
}

/* Steps of 16 bits that no kernel gets wrong: all there are, and mixtures with few long ones; by plain C and by vectors. */
static void check_steps16(const uint8_t *steps, size_t n)
{
    static const uint8_t shift[MTH_ULP_CONTEXTS] = {0};
    enum { ROOM = 64 };
    size_t n_room = 2 * n + ROOM, n_extra = 0;
    uint8_t *contexts = guard_alloc(n), *symbols = guard_alloc(n), *signs = guard_alloc((n + 7) / 8);
    uint8_t *wanted = guard_alloc(n), *wanted_signs = guard_alloc((n + 7) / 8);
    uint8_t *room = guard_alloc(n_room), *first = guard_alloc(n_room), *back = guard_alloc(2 * n);
    memset(contexts, 0, n);
    for (size_t k = 0; k < n_kernels; k++) {
        struct mth_ulp_parts parts = {.symbols = k ? symbols : wanted,
                                      .signs = k ? signs : wanted_signs,
                                      .extra = {.at = k ? room : first, .end = (k ? room : first) + n_room}};
        uint8_t *begin = parts.extra.at;
        assert_true(mth_ulp_split(kernels[k], 16, shift, steps, contexts, n, &parts));
        assert_true(mth_ulp_end_bits(&parts.extra));
        size_t n_bytes = (size_t)(parts.extra.at - begin);
        if (k == 0) {
            n_extra = n_bytes;
        } else {
            assert_int_equal(n_bytes, n_extra);
            assert_memory_equal(room, first, n_extra);
            assert_memory_equal(symbols, wanted, n);
            assert_memory_equal(signs, wanted_signs, (n + 7) / 8);
        }
        /* With bits that end right behind the last one. */
        uint8_t *bits = guard_alloc(n_extra);
        if (n_extra)
            memcpy(bits, first, n_extra);
        struct mth_ulp_bit_reader reader = {.at = bits, .end = bits + n_extra};
        assert_true(mth_ulp_join(kernels[k], 16, shift, wanted, wanted_signs, contexts, n, &reader, back));
        assert_true(mth_ulp_bits_ended(&reader));
        assert_memory_equal(back, steps, 2 * n);
        if (n_extra) {
            reader = (struct mth_ulp_bit_reader){.at = bits, .end = bits + n_extra - 1};
            assert_false(
                mth_ulp_join(kernels[k], 16, shift, wanted, wanted_signs, contexts, n, &reader, back));
        }
        guard_free(bits, n_extra);
    }
    guard_free(contexts, n);
    guard_free(symbols, n);
    guard_free(signs, (n + 7) / 8);
    guard_free(wanted, n);
    guard_free(wanted_signs, (n + 7) / 8);
    guard_free(room, n_room);
    guard_free(first, n_room);
    guard_free(back, 2 * n);
}

static void symbols_of_every_step_of_16_bits_are_right(void **state)
{
    (void)state;
    enum { N = 65535, N_MIXED = 3000 };
    uint8_t *steps = guard_alloc(2 * N);
    uint64_t random = 1;
    for (unsigned i = 0; i < N; i++)
        ulp_store(steps + 2 * i, i + 1, 16);
    check_steps16(steps, N);
    guard_free(steps, 2 * N);
    for (size_t n = 0; n < N_MIXED; n = n < 130 ? n + 1 : 2 * n) {
        steps = guard_alloc(2 * n);
        for (size_t i = 0; i < n; i++) {
            uint64_t r = pattern_random(&random), m = 1 + (r >> 8 & 0x7fff) % ((uint64_t)1 << r % 16);
            if (n % 3 && r >> 32 & 7)
                m = 1 + m % 8;
            ulp_store(steps + 2 * i, r >> 40 & 1 ? 0 - m : m, 16);
        }
        check_steps16(steps, n);
        guard_free(steps, 2 * n);
    }
}

/* ---- tables ---- */

/* Tables of every shape: contexts that never change, one symbol alone, all symbols, rare and frequent changes. */
static void make_table(uint64_t seed, struct mth_ulp_table *table)
{
    uint64_t random = seed + 1;
    struct mth_ulp_counts counts = {.elements = {0}};
    memset(table, 0, sizeof *table);
    for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++) {
        uint64_t r = pattern_random(&random);
        size_t n_symbols = r % 4 == 0 ? 0 : r % 4 == 1 ? 1 : 1 + r / 4 % MTH_ULP_SYMBOLS;
        uint32_t n_changed = 0;
        for (size_t s = 0; s < n_symbols; s++) {
            counts.symbols[c][s] = (uint32_t)(pattern_random(&random) % 1000 >> pattern_random(&random) % 12);
            n_changed += counts.symbols[c][s];
        }
        counts.elements[c] = n_changed + pattern_random(&random) % (1 + (UINT64_C(100000) >> r / 64 % 20));
    }
    mth_ulp_table_build(table, &counts);
}

/* A slot of a context for each element, and what it stands for. */
static unsigned draw_symbol(const struct mth_ulp_table *table, unsigned context, uint64_t random)
{
    unsigned slot = random & 0xff, symbol = 0;
    if (table->freq[0][context] == 0)
        return 0;
    while (slot >= table->freq[symbol][context])
        slot -= table->freq[symbol++][context];
    return symbol;
}

/* ---- flags and symbols ---- */

struct coded {
    uint8_t *room; /* guarded, without a byte to spare */
    size_t n;
    struct mth_rans_lanes lanes;
};

static void open_reader(const struct coded *coded, struct mth_rans_reader *reader)
{
    *reader =
        (struct mth_rans_reader){.lanes = coded->lanes, .in = coded->room, .end = coded->room + coded->n};
}

/* In batches of 1, 2, 3, ... groups from the end. False: there is no room. */
static bool encode_flags(const struct mth_ulp_kernels *with, const struct mth_ulp_table *table,
                         size_t n_lanes, const uint8_t *contexts, const uint32_t *masks, size_t n_groups,
                         size_t n_room, struct coded *coded)
{
    uint8_t *room = guard_alloc(n_room);
    struct mth_rans_writer writer = {.begin = room, .at = room + n_room};
    bool fits = true;
    mth_rans_lanes_init(&writer.lanes, n_lanes);
    for (size_t left = n_groups, batch = 1; fits && left > 0; batch++) {
        size_t n = batch < left ? batch : left;
        left -= n;
        fits = mth_ulp_encode_flags(with, table, &writer, contexts + left * MTH_ULP_GROUP, left, n,
                                    masks + left);
    }
    coded->n = (size_t)(room + n_room - writer.at);
    coded->room = guard_alloc(coded->n);
    coded->lanes = writer.lanes;
    if (coded->n)
        memcpy(coded->room, writer.at, coded->n);
    guard_free(room, n_room);
    return fits;
}

static bool decode_flags(const struct mth_ulp_kernels *with, const struct mth_ulp_table *table,
                         struct mth_rans_reader *reader, const uint8_t *contexts, size_t n_groups,
                         uint32_t *masks)
{
    bool good = true;
    for (size_t g = 0, batch = 1; good && g < n_groups; batch += 2) {
        size_t n = batch < n_groups - g ? batch : n_groups - g;
        good = mth_ulp_decode_flags(with, table, reader, contexts + g * MTH_ULP_GROUP, g, n, masks + g);
        g += n;
    }
    return good;
}

static void assert_same(const struct coded *a, const struct coded *b)
{
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->lanes.high, b->lanes.high, a->lanes.n_lanes);
    assert_memory_equal(a->lanes.low, b->lanes.low, a->lanes.n_lanes);
    if (a->n)
        assert_memory_equal(a->room, b->room, a->n);
}

static void check_flags(const struct mth_ulp_table *table, size_t n_lanes, const uint8_t *contexts,
                        const uint32_t *masks, size_t n_groups)
{
    struct coded first, coded;
    assert_true(encode_flags(kernels[0], table, n_lanes, contexts, masks, n_groups,
                             n_groups * MTH_ULP_GROUP + MTH_ULP_MAX_FLAG_LANES, &first));
    uint32_t back[MAX_GROUPS];
    for (size_t k = 0; k < n_kernels; k++) {
        struct mth_rans_reader reader;
        if (first.n) {
            assert_false(
                encode_flags(kernels[k], table, n_lanes, contexts, masks, n_groups, first.n - 1, &coded));
            guard_free(coded.room, coded.n);
        }
        assert_true(encode_flags(kernels[k], table, n_lanes, contexts, masks, n_groups, first.n, &coded));
        assert_same(&coded, &first);
        guard_free(coded.room, coded.n);
        open_reader(&first, &reader);
        memset(back, 0x5a, sizeof back);
        assert_true(decode_flags(kernels[k], table, &reader, contexts, n_groups, back));
        assert_memory_equal(back, masks, n_groups * sizeof *masks);
        assert_ptr_equal(reader.in, reader.end);
        assert_true(mth_rans_lanes_at_start(&reader.lanes));
        if (first.n) {
            open_reader(&first, &reader);
            reader.end--;
            assert_false(decode_flags(kernels[k], table, &reader, contexts, n_groups, back) &&
                         mth_rans_lanes_at_start(&reader.lanes));
        }
    }
    guard_free(first.room, first.n);
}

static void flags_are_the_same_bytes_by_every_kernel(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 3, 4, 63, 64, 65, 333};
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct mth_ulp_table table;
        uint64_t random = seed;
        make_table(seed, &table);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            size_t n = sizes[i] * MTH_ULP_GROUP;
            uint8_t *contexts = guard_alloc(n);
            uint32_t masks[MAX_GROUPS] = {0};
            for (size_t e = 0; e < n; e++) {
                uint64_t r = pattern_random(&random);
                contexts[e] = (uint8_t)(r % MTH_ULP_CONTEXTS);
                bool changes = (r >> 8 & 0xff) < table.changed[contexts[e]];
                masks[e / MTH_ULP_GROUP] |= (uint32_t)changes << e % MTH_ULP_GROUP;
            }
            check_flags(&table, 32, contexts, masks, sizes[i]);
            check_flags(&table, 64, contexts, masks, sizes[i]);
            check_flags(&table, 128, contexts, masks, sizes[i]);
            guard_free(contexts, n);
        }
    }
}

static bool encode_symbols(const struct mth_ulp_kernels *with, const struct mth_ulp_table *table,
                           size_t n_lanes, const uint8_t *contexts, const uint8_t *symbols, size_t n,
                           size_t n_room, struct coded *coded)
{
    uint8_t *room = guard_alloc(n_room);
    struct mth_rans_writer writer = {.begin = room, .at = room + n_room};
    mth_rans_lanes_init(&writer.lanes, n_lanes);
    bool fits = mth_ulp_encode_symbols(with, table, &writer, contexts, symbols, n);
    coded->n = (size_t)(room + n_room - writer.at);
    coded->room = guard_alloc(coded->n);
    coded->lanes = writer.lanes;
    if (coded->n)
        memcpy(coded->room, writer.at, coded->n);
    guard_free(room, n_room);
    return fits;
}

static void check_symbols(const struct mth_ulp_table *table, size_t n_lanes, const uint8_t *contexts,
                          const uint8_t *symbols, size_t n)
{
    struct coded first, coded;
    assert_true(encode_symbols(kernels[0], table, n_lanes, contexts, symbols, n, n + 64, &first));
    uint8_t *back = guard_alloc(n);
    for (size_t k = 0; k < n_kernels; k++) {
        struct mth_rans_reader reader;
        if (first.n) {
            assert_false(
                encode_symbols(kernels[k], table, n_lanes, contexts, symbols, n, first.n - 1, &coded));
            guard_free(coded.room, coded.n);
        }
        assert_true(encode_symbols(kernels[k], table, n_lanes, contexts, symbols, n, first.n, &coded));
        assert_same(&coded, &first);
        guard_free(coded.room, coded.n);
        open_reader(&first, &reader);
        memset(back, 0x5a, n);
        assert_true(mth_ulp_decode_symbols(kernels[k], table, &reader, contexts, n, back));
        if (n)
            assert_memory_equal(back, symbols, n);
        assert_ptr_equal(reader.in, reader.end);
        assert_true(mth_rans_lanes_at_start(&reader.lanes));
        if (first.n) {
            open_reader(&first, &reader);
            reader.end--;
            assert_false(mth_ulp_decode_symbols(kernels[k], table, &reader, contexts, n, back) &&
                         mth_rans_lanes_at_start(&reader.lanes));
        }
    }
    guard_free(first.room, first.n);
    guard_free(back, n);
}

static void symbols_are_the_same_bytes_by_every_kernel(void **state)
{
    (void)state;
    /* The last are enough that tables of all slots are made. */
    static const size_t sizes[] = {0, 1, 31, 32, 33, 63, 64, 65, 100, 4099, 9001};
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct mth_ulp_table table;
        uint64_t random = seed;
        uint8_t used[MTH_ULP_CONTEXTS];
        size_t n_used = 0;
        make_table(seed, &table);
        for (uint8_t c = 0; c < MTH_ULP_CONTEXTS; c++) {
            if (table.used >> c & 1)
                used[n_used++] = c;
        }
        for (size_t i = 0; n_used > 0 && i < sizeof sizes / sizeof sizes[0]; i++) {
            uint8_t *contexts = guard_alloc(sizes[i]), *symbols = guard_alloc(sizes[i]);
            for (size_t e = 0; e < sizes[i]; e++) {
                contexts[e] = used[pattern_random(&random) % n_used];
                symbols[e] = (uint8_t)draw_symbol(&table, contexts[e], pattern_random(&random));
            }
            for (size_t n_lanes = 1; n_lanes <= MTH_RANS_MAX_LANES; n_lanes *= 2)
                check_symbols(&table, n_lanes, contexts, symbols, sizes[i]);
            guard_free(contexts, sizes[i]);
            guard_free(symbols, sizes[i]);
        }
    }
}

/* Every state that a lane can have, and every frequency: what division says. */
static void every_state_advances_as_division_says(void **state)
{
    (void)state;
    enum { LANES = 64 };
    uint8_t contexts[LANES] = {0}, symbols[LANES], room[LANES];
    memset(symbols, 1, sizeof symbols);
    for (unsigned freq = 1; freq <= 255; freq++) {
        uint8_t wire[8] = {0, 0, 1, 0, (uint8_t)freq, 3, 0, (uint8_t)(256 - freq)};
        struct mth_reader reader = {.at = wire, .end = wire + sizeof wire};
        struct mth_ulp_table table;
        assert_true(mth_ulp_table_read(&reader, false, &table));
        for (unsigned x = 256; x < 65536; x += LANES) {
            for (size_t k = 0; k < n_kernels * 3; k++) {
                /* Of the flags, "changed" has freq slots from 0 on and "same" the others; so has symbol 1, behind 0. */
                unsigned what = (unsigned)(k % 3), f = what == 1 ? 256 - freq : freq;
                unsigned start = what == 1 ? freq : what == 2 ? 256 - freq : 0;
                const uint32_t masks[2] = {what == 0 ? UINT32_MAX : 0, what == 0 ? UINT32_MAX : 0};
                struct mth_rans_writer writer = {.begin = room, .at = room + sizeof room};
                mth_rans_lanes_init(&writer.lanes, LANES);
                for (unsigned i = 0; i < LANES; i++) {
                    writer.lanes.high[i] = (uint8_t)((x + i) >> 8);
                    writer.lanes.low[i] = (uint8_t)(x + i);
                }
                if (what < 2)
                    assert_true(mth_ulp_encode_flags(kernels[k / 3], &table, &writer, contexts, 0, 2, masks));
                else
                    assert_true(
                        mth_ulp_encode_symbols(kernels[k / 3], &table, &writer, contexts, symbols, LANES));
                for (unsigned i = 0; i < LANES; i++) {
                    unsigned y = x + i >= f << 8 ? (x + i) >> 8 : x + i;
                    unsigned wanted = (y / f << 8) + start + y % f;
                    if (writer.lanes.high[i] != wanted >> 8 || writer.lanes.low[i] != (wanted & 255))
                        fail_msg("%s: %u by %u", kernels[k / 3]->name, x + i, f);
                }
            }
        }
    }
}

/* ---- counts ---- */

static void every_kernel_counts_each_context_and_symbol(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 7, 8, 9, 511, 512, 513, 1023, 1024, 5000, 40000};
    /* By how many bits symbols are drawn: mostly the first ones, or all alike; or hardly any of those that are frequent. */
    for (unsigned draw = 0; draw < 5; draw++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            size_t n = sizes[i];
            uint8_t *contexts = guard_alloc(n), *symbols = guard_alloc(n);
            uint32_t wanted[MTH_ULP_CONTEXTS][MTH_ULP_SYMBOLS];
            uint64_t random = n + draw;
            memset(wanted, 0, sizeof wanted);
            wanted[3][1] = 5; /* what was there before stays */
            for (size_t e = 0; e < n; e++) {
                uint64_t r = pattern_random(&random);
                contexts[e] = (uint8_t)(draw == 3 ? 9 : r % MTH_ULP_CONTEXTS);
                symbols[e] = (uint8_t)((r >> 8) % MTH_ULP_SYMBOLS >> (r >> 16) % (draw + 2));
                if (draw == 4 && (r >> 24) % 16)
                    symbols[e] |= 4;
                wanted[contexts[e]][symbols[e]]++;
            }
            for (size_t k = 0; k < n_kernels; k++) {
                uint32_t counts[MTH_ULP_CONTEXTS][MTH_ULP_SYMBOLS] = {{0}};
                counts[3][1] = 5;
                uint32_t of_contexts[MTH_ULP_CONTEXTS] = {0};
                kernels[k]->count(contexts, symbols, n, counts);
                assert_memory_equal(counts, wanted, sizeof wanted);
                of_contexts[3] = 5;
                kernels[k]->count_contexts(contexts, n, of_contexts);
                for (size_t c = 0; c < MTH_ULP_CONTEXTS; c++) {
                    uint32_t sum = 0;
                    for (size_t s = 0; s < MTH_ULP_SYMBOLS; s++)
                        sum += wanted[c][s];
                    assert_int_equal(of_contexts[c], sum);
                }
            }
            guard_free(contexts, n);
            guard_free(symbols, n);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contexts_are_how_far_exponents_lie_below_the_top),
        cmocka_unit_test(steps_are_differences_of_ordered_integers),
        cmocka_unit_test(steps_between_any_two_elements_are_right),
        cmocka_unit_test(contexts_of_changed_elements_are_gathered_in_order),
        cmocka_unit_test(symbols_of_every_step_of_16_bits_are_right),
        cmocka_unit_test(flags_are_the_same_bytes_by_every_kernel),
        cmocka_unit_test(symbols_are_the_same_bytes_by_every_kernel),
        cmocka_unit_test(every_kernel_counts_each_context_and_symbol),
        cmocka_unit_test(every_state_advances_as_division_says),
    };
    return cmocka_run_group_tests(tests, find_kernels, NULL);
}
