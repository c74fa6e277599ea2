/* Laws of base/: statuses, checked sizes, memory accounts, digests, copies, CPU features, pools, element types. */
#include "base/checked.h"
#include "base/copy.h"
#include "base/cpu.h"
#include "base/dtype.h"
#include "base/hash.h"
#include "base/hash_kernels.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/status.h"
#include "base/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void every_status_has_its_own_name_and_sentence(void **state)
{
    (void)state;
    assert_string_equal(mth_status_name(MTH_OK), "MTH_OK");
    assert_string_equal(mth_status_name(MTH_ERR_FORMAT), "MTH_ERR_FORMAT");
    assert_string_equal(mth_status_name(MTH_ERR_INTERNAL), "MTH_ERR_INTERNAL");
    for (int a = 0; a >= MTH_STATUS_LAST; a--) {
        assert_true(strlen(mth_status_text(a)) > 0);
        for (int b = 0; b > a; b--) {
            assert_string_not_equal(mth_status_name(a), mth_status_name(b));
            assert_string_not_equal(mth_status_text(a), mth_status_text(b));
        }
    }
    assert_string_equal(mth_status_name(1), "MTH_ERR_?");
    assert_string_equal(mth_status_name(MTH_STATUS_LAST - 1), "MTH_ERR_?");
    assert_non_null(mth_status_text(INT32_MIN));
}

static void an_error_is_one_line_whatever_it_quotes(void **state)
{
    (void)state;
    struct mth_error err;
    char text[2 * MTH_ERROR_TEXT_BYTES];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    memcpy(text, "a\nb\033[0mc\x7f\r\t", 11);
    int status = mth_error_set(&err, MTH_ERR_IO, "%s", text);
    assert_int_equal(status, MTH_ERR_IO);
    assert_int_equal(err.status, MTH_ERR_IO);
    assert_int_equal(strlen(err.text), MTH_ERROR_TEXT_BYTES - 1);
    assert_memory_equal(err.text, "a?b?[0mc???x", 12);
    status = mth_error_set(NULL, MTH_ERR_BASE, "%s", text);
    assert_int_equal(status, MTH_ERR_BASE);
}

static void sizes_that_do_not_fit_are_refused_and_left_alone(void **state)
{
    (void)state;
    size_t size = 77;
    uint64_t big = 77;
    assert_true(mth_size_add(SIZE_MAX - 1, 1, &size) && size == SIZE_MAX);
    assert_true(mth_size_mul(SIZE_MAX / 3, 3, &size) && size == SIZE_MAX / 3 * 3);
    assert_true(mth_size_mul(SIZE_MAX, 0, &size) && size == 0);
    assert_true(mth_size_mul(0, SIZE_MAX, &size) && size == 0);
    assert_true(mth_u64_add(UINT64_MAX, 0, &big) && big == UINT64_MAX);
    assert_true(mth_u64_mul(1u << 31, 1ull << 32, &big) && big == 1ull << 63);
    size = 77;
    big = 77;
    assert_false(mth_size_add(SIZE_MAX, 1, &size));
    assert_false(mth_size_add(1, SIZE_MAX, &size));
    assert_false(mth_size_mul(SIZE_MAX / 2 + 1, 2, &size));
    assert_false(mth_size_mul(SIZE_MAX, SIZE_MAX, &size));
    assert_false(mth_u64_add(UINT64_MAX, UINT64_MAX, &big));
    assert_false(mth_u64_mul(1ull << 32, 1ull << 32, &big));
    assert_true(size == 77 && big == 77);
    assert_true(mth_u64_to_size(SIZE_MAX, &size) && size == SIZE_MAX);
}

static void file_fields_are_little_endian(void **state)
{
    (void)state;
    uint8_t bytes[9] = {0, 1, 2, 3, 4, 5, 6, 7, 0xf8};
    assert_true(mth_load16(bytes + 1) == 0x0201);
    assert_true(mth_load32(bytes + 1) == 0x04030201);
    assert_true(mth_load64(bytes + 1) == 0xf807060504030201);
    mth_store64(bytes, 0xf807060504030201);
    assert_true(mth_load64(bytes) == 0xf807060504030201);
    assert_int_equal(bytes[0], 1);
    mth_store32(bytes + 3, 0xdeadbeef);
    assert_true(mth_load32(bytes + 3) == 0xdeadbeef);
    mth_store16(bytes + 5, 0xcafe);
    assert_true(mth_load16(bytes + 5) == 0xcafe);
}

static void an_account_counts_what_is_allocated(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(0);
    uint8_t *a = mth_memory_alloc(memory, 1000);
    uint8_t *b = mth_memory_calloc(memory, 3, 7);
    assert_true((uintptr_t)a % 64 == 0 && (uintptr_t)b % 64 == 0);
    for (size_t i = 0; i < 21; i++)
        assert_int_equal(b[i], 0);
    assert_int_equal(mth_memory_current(memory), 1021);
    memset(a, 0x5a, 1000);
    a = mth_memory_realloc(memory, a, 3000);
    assert_int_equal(a[999], 0x5a);
    assert_int_equal(mth_memory_current(memory), 3021);
    a = mth_memory_realloc(memory, a, 10);
    assert_int_equal(a[9], 0x5a);
    assert_int_equal(mth_memory_current(memory), 31);
    assert_true(mth_memory_peak(memory) >= 3021);
    mth_memory_reset_peak(memory);
    assert_int_equal(mth_memory_peak(memory), 31);
    mth_memory_free(memory, a);
    mth_memory_free(memory, b);
    mth_memory_free(memory, NULL);
    assert_int_equal(mth_memory_current(memory), 0);
    void *nothing = mth_memory_alloc(memory, 0);
    assert_non_null(nothing);
    mth_memory_free(memory, nothing);
    mth_memory_destroy(memory);
    mth_memory_destroy(NULL);
}

static void an_account_refuses_what_passes_its_limit(void **state)
{
    (void)state;
    struct mth_memory *memory = mth_memory_create(100);
    uint8_t *a = mth_memory_alloc(memory, 60);
    assert_non_null(a);
    assert_null(mth_memory_alloc(memory, 41));
    assert_null(mth_memory_calloc(memory, 1, 41));
    assert_int_equal(mth_memory_current(memory), 60);
    a[59] = 7;
    assert_null(mth_memory_realloc(memory, a, 101));
    assert_int_equal(a[59], 7);
    uint8_t *b = mth_memory_alloc(memory, 40);
    assert_non_null(b);
    mth_memory_free(memory, a);
    mth_memory_free(memory, b);
    assert_null(mth_memory_alloc(memory, SIZE_MAX));
    assert_null(mth_memory_alloc(memory, SIZE_MAX - 64));
    assert_null(mth_memory_calloc(memory, SIZE_MAX / 2, 3));
    assert_int_equal(mth_memory_current(memory), 0);
    mth_memory_destroy(memory);
}

/* From the xxhsum 0.8 program. The content is byte i = 31 i + 7; the lengths take each of XXH3's paths. */
static const struct {
    size_t n_bytes;
    const char *hex128;
    uint64_t hash64;
} vectors[] = {
    {0, "99aa06d3014798d86001c324468d497f", 0x2d06800538d394c2u},
    {1, "495b62073ef70ca44c5cca45d0f4811f", 0x4c5cca45d0f4811fu},
    {3, "46f66cb93538156515f7093b173d005c", 0x15f7093b173d005cu},
    {8, "803c675a846cc6c256bb836ceb6d4baa", 0xdec6a9a43575982eu},
    {16, "650fe308c566747df853dd94614dfa07", 0x7e484c18d74895d0u},
    {17, "18217300b5132d5a78c349fe81b2f26c", 0x208bde5ee2bed407u},
    {128, "b4f87b99d2db8a511e04fad9f0cacb4d", 0xf92b70eaa21a6288u},
    {129, "6881633650cd8924c51bc887976aef63", 0xf8f76713f2bb60fau},
    {240, "de57aab31e77a2ff93e173833f75ab66", 0xccc7375172c41f03u},
    {241, "92b991a7192f3f080b3b630948ce4a00", 0x0b3b630948ce4a00u},
    {1024, "4c17271c906df79223bc880ebf0d29c6", 0x23bc880ebf0d29c6u},
};

static void digests_are_those_of_xxhsum(void **state)
{
    (void)state;
    uint8_t bytes[1024];
    char hex[MTH_DIGEST_HEX_BYTES];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 31 + 7);
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct mth_digest digest = mth_hash128(bytes, vectors[i].n_bytes);
        mth_digest_hex(&digest, hex);
        assert_string_equal(hex, vectors[i].hex128);
        assert_true(mth_hash64(bytes, vectors[i].n_bytes, 0) == vectors[i].hash64);
        assert_true(mth_hash64(bytes, vectors[i].n_bytes, 42) != vectors[i].hash64);
    }
    assert_true(mth_hash64_matches("abc", 3, 0, 0x78af5f94892f3950u));
    assert_false(mth_hash64_matches("abd", 3, 0, 0x78af5f94892f3950u));
    assert_false(mth_hash64_matches("abc", 3, 1, 0x78af5f94892f3950u));
    struct mth_digest abc = mth_hash128("abc", 3);
    mth_digest_hex(&abc, hex);
    assert_string_equal(hex, "06b05ab6733a618578af5f94892f3950");
}

/* Beyond 240 bytes XXH3-64 is the low half of XXH3-128, which only ever takes the portable way here. */
static void every_instruction_set_gives_the_same_hash(void **state)
{
    (void)state;
#ifdef MTH_HASH_HAVE_X86
    static uint8_t bytes[5000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 24);
    for (size_t n = 241; n < sizeof bytes - 3; n += n < 600 ? 1 : 97) {
        struct mth_digest digest = mth_hash128(bytes + n % 3, n);
        uint64_t low = 0;
        for (size_t i = 8; i < 16; i++)
            low = low << 8 | digest.bytes[i];
        if (mth_cpu_features() & MTH_CPU_AVX2)
            assert_true(mth_hash64_avx2(bytes + n % 3, n, 0) == low);
        if (mth_cpu_features() & MTH_CPU_AVX512)
            assert_true(mth_hash64_avx512(bytes + n % 3, n, 0) == low);
    }
#else
    skip();
#endif
}

static void a_digest_does_not_depend_on_the_pieces(void **state)
{
    (void)state;
    uint8_t bytes[1024];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 31 + 7);
    struct mth_digest whole = mth_hash128(bytes, sizeof bytes);
    for (size_t piece = 1; piece < 300; piece += 13) {
        struct mth_hash_stream *stream = mth_hash_stream_create();
        assert_non_null(stream);
        for (size_t at = 0; at < sizeof bytes; at += piece)
            mth_hash_stream_update(stream, bytes + at, mth_size_min(piece, sizeof bytes - at));
        struct mth_digest digest = mth_hash_stream_digest(stream);
        assert_true(mth_digest_equal(&whole, &digest));
        mth_hash_stream_destroy(stream);
        struct mth_hash64_pieces pieces;
        mth_hash64_begin(&pieces);
        for (size_t at = 0; at < sizeof bytes; at += piece)
            mth_hash64_add(&pieces, bytes + at, mth_size_min(piece, sizeof bytes - at));
        assert_true(mth_hash64_end(&pieces) == mth_hash64(bytes, sizeof bytes, 0));
    }
    struct mth_digest other = whole;
    other.bytes[15] ^= 1;
    assert_false(mth_digest_equal(&whole, &other));
}

static void a_digest_by_blocks_is_that_of_the_bytes(void **state)
{
    (void)state;
    static const size_t tails[] = {1, 63, 64, 65, 255, 256, 257, 1023, 1024, 1025, 3000};
    static uint8_t bytes[2 + 8 * MTH_HASH64_BLOCK_BYTES + 3000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 256 * 7);
    for (size_t t = 0; t < sizeof tails / sizeof tails[0]; t++)
        for (size_t n_blocks = 0; n_blocks <= 8; n_blocks++)
            /* Behind nothing, behind a byte, and behind blocks that went as bytes. */
            for (size_t begin = 0; begin < 3; begin++) {
                size_t n_front = begin == 1               ? 1
                                 : begin == 2 && n_blocks ? MTH_HASH64_BLOCK_BYTES
                                                          : 0,
                       n = n_blocks - n_front / MTH_HASH64_BLOCK_BYTES, half = n / 2;
                const uint8_t *at = bytes + n_front;
                struct mth_hash64_pieces pieces;
                mth_hash64_begin(&pieces);
                mth_hash64_add(&pieces, bytes, n_front);
                mth_hash64_add_blocks(&pieces, at, half);
                at += half * MTH_HASH64_BLOCK_BYTES;
                mth_hash64_add_blocks(&pieces, at, n - half);
                at += (n - half) * MTH_HASH64_BLOCK_BYTES;
                mth_hash64_add(&pieces, at, tails[t]);
                assert_true(mth_hash64_end(&pieces) == mth_hash64(bytes, (size_t)(at - bytes) + tails[t], 0));
                /* Two of them block by block, the second one a byte behind. */
                struct mth_hash64_pieces pair[2];
                for (size_t i = 0; i < 2; i++) {
                    mth_hash64_begin(&pair[i]);
                    mth_hash64_add(&pair[i], bytes + i, n_front);
                }
                for (at = bytes + n_front; n > 0; n--, at += MTH_HASH64_BLOCK_BYTES)
                    mth_hash64_add_block_pair(&pair[0], at, &pair[1], at + 1);
                for (size_t i = 0; i < 2; i++) {
                    mth_hash64_add(&pair[i], at + i, tails[t]);
                    assert_true(mth_hash64_end(&pair[i]) ==
                                mth_hash64(bytes + i, (size_t)(at - bytes) + tails[t], 0));
                }
            }
    /* And of as many as chunks have: the length of all is part of a digest. */
    static uint8_t many[300 * MTH_HASH64_BLOCK_BYTES + 65];
    for (size_t n_blocks = 99; n_blocks <= 300; n_blocks += 67)
        for (size_t n_tail = 1; n_tail <= 65; n_tail += 64) {
            struct mth_hash64_pieces pieces;
            mth_hash64_begin(&pieces);
            mth_hash64_add_blocks(&pieces, many, n_blocks);
            mth_hash64_add(&pieces, many + n_blocks * MTH_HASH64_BLOCK_BYTES, n_tail);
            assert_true(mth_hash64_end(&pieces) ==
                        mth_hash64(many, n_blocks * MTH_HASH64_BLOCK_BYTES + n_tail, 0));
        }
#ifdef MTH_HASH_HAVE_X86
    uint64_t sums[2][8];
    if (!(mth_cpu_features() & MTH_CPU_AVX512))
        return;
    for (size_t k = 0; k < 2; k++)
        memcpy(sums[k], bytes + 77, sizeof sums[k]);
    mth_hash64_blocks_avx2(sums[0], bytes, bytes + 1, 7);
    mth_hash64_blocks_avx512(sums[1], bytes, bytes + 1, 7);
    assert_memory_equal(sums[0], sums[1], sizeof sums[0]);
#endif
}

/* The features of a process of its own under a setting of MTH_DISABLE_CPU: they are read once a process. */
static unsigned features_with(const char *disabled)
{
    int ends[2];
    unsigned features = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("MTH_DISABLE_CPU", disabled, 1);
        features = mth_cpu_features();
        _exit(write(ends[1], &features, sizeof features) != sizeof features ||
              mth_cpu_features() != features);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &features, sizeof features), sizeof features);
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    return features;
}

/* From and to any place, short or long, and not a byte beside it. */
static void copies_away_and_near_are_copies(void **state)
{
    enum { LINE = 64, ROOM = MTH_COPY_AWAY_BYTES + 5 * LINE };
    static const size_t sizes[] = {0,
                                   1,
                                   LINE,
                                   MTH_COPY_AWAY_BYTES - 1,
                                   MTH_COPY_AWAY_BYTES,
                                   MTH_COPY_AWAY_BYTES + 1,
                                   MTH_COPY_AWAY_BYTES + LINE - 1,
                                   MTH_COPY_AWAY_BYTES + 2 * LINE + 1};
    uint8_t *src = malloc(ROOM), *dst = malloc(ROOM), *expected = malloc(ROOM);
    (void)state;
    assert_true(src && dst && expected);
    for (size_t i = 0; i < ROOM; i++)
        src[i] = (uint8_t)(i * 2654435761u >> 11);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        for (size_t to = 0; to <= LINE; to++) {
            size_t from = to * 5 % LINE;
            memset(dst, 0xee, ROOM);
            memset(expected, 0xee, ROOM);
            memcpy(expected + to, src + from, sizes[k]);
            mth_copy_away(dst + to, src + from, sizes[k]);
            assert_memory_equal(dst, expected, ROOM);
            memset(dst, 0xee, ROOM);
            mth_copy_near(dst + to, src + from, sizes[k]);
            assert_memory_equal(dst, expected, ROOM);
        }
    }
    free(src);
    free(dst);
    free(expected);
}

static void switched_off_cpu_features_are_gone(void **state)
{
    (void)state;
    const unsigned all = features_with("");
    const unsigned avx512 = MTH_CPU_AVX512 | MTH_CPU_VBMI;
    assert_int_equal(features_with("all"), 0);
    assert_int_equal(features_with("vbmi"), all & ~(unsigned)MTH_CPU_VBMI);
    assert_int_equal(features_with("avx512"), all & ~avx512);
    assert_int_equal(features_with("avx2"), all & ~(avx512 | MTH_CPU_AVX2));
    assert_int_equal(features_with("avx2,neon"), 0);
    assert_int_equal(features_with("neon, vbmi"), all & ~(unsigned)(MTH_CPU_VBMI | MTH_CPU_NEON));
    assert_int_equal(features_with("avx,sse,,nothing"), all);
}

static void cpu_features_have_names(void **state)
{
    (void)state;
    char text[64], small[6];
    mth_cpu_describe(0, text, sizeof text);
    assert_string_equal(text, "portable");
    mth_cpu_describe(MTH_CPU_AVX2 | MTH_CPU_AVX512 | MTH_CPU_VBMI, text, sizeof text);
    assert_string_equal(text, "avx2 avx512 vbmi");
    mth_cpu_describe(MTH_CPU_AVX2 | MTH_CPU_AVX512, small, sizeof small);
    assert_string_equal(small, "avx2 ");
}

struct count {
    atomic_uint runs[32];
    atomic_uint total;
};

static void count_run(void *arg, size_t worker)
{
    struct count *count = arg;
    atomic_fetch_add(&count->runs[worker], 1);
    atomic_fetch_add(&count->total, 1);
}

static void a_pool_runs_each_worker_once(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 32; n = n * 2 + 1) {
        struct mth_pool *pool;
        struct count count = {0};
        assert_int_equal(mth_pool_create(n, &pool), MTH_OK);
        assert_int_equal(mth_pool_threads(pool), n);
        for (unsigned run = 1; run <= 100; run++) {
            mth_pool_run(pool, count_run, &count);
            assert_int_equal(atomic_load(&count.total), run * n);
            for (size_t worker = 0; worker < n; worker++)
                assert_int_equal(atomic_load(&count.runs[worker]), run);
        }
        mth_pool_destroy(pool);
    }
}

static void a_pool_has_between_1_and_4096_threads(void **state)
{
    (void)state;
    struct mth_pool *pool;
    assert_int_equal(mth_pool_create(0, &pool), MTH_ERR_USAGE);
    assert_int_equal(mth_pool_create(4097, &pool), MTH_ERR_USAGE);
    assert_int_equal(mth_pool_create(SIZE_MAX, &pool), MTH_ERR_USAGE);
    assert_int_equal(mth_pool_create(3, &pool), MTH_OK);
    mth_pool_destroy(pool);
    mth_pool_destroy(NULL);
    assert_true(mth_pool_processors() >= 1);
}

static void every_dtype_is_found_by_its_name_in_any_case(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MTH_N_DTYPES; i++) {
        const struct mth_dtype_info *info = mth_dtype_info((enum mth_dtype)i);
        char lower[16];
        size_t n = strlen(info->name);
        assert_true(n > 0 && n < sizeof lower);
        for (size_t k = 0; k <= n; k++)
            lower[k] =
                info->name[k] >= 'A' && info->name[k] <= 'Z' ? (char)(info->name[k] + 32) : info->name[k];
        assert_int_equal(mth_dtype_find(info->name, n), i);
        assert_int_equal(mth_dtype_find(lower, n), i);
        assert_int_equal(mth_dtype_find(info->name, n - 1) == i, 0);
    }
    assert_int_equal(mth_dtype_find("bfloat16", 8), MTH_DTYPE_BF16);
    assert_int_equal(mth_dtype_find("Float32", 7), MTH_DTYPE_F32);
    assert_int_equal(mth_dtype_find("bytes", 5), MTH_DTYPE_OPAQUE);
    assert_int_equal(mth_dtype_find("", 0), MTH_N_DTYPES);
    assert_int_equal(mth_dtype_find("bf16x", 5), MTH_N_DTYPES);
    assert_int_equal(mth_dtype_find("F3", 2), MTH_N_DTYPES);
}

static void the_fields_of_a_float_fill_its_lane(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MTH_N_DTYPES; i++) {
        const struct mth_dtype_info *info = mth_dtype_info((enum mth_dtype)i);
        assert_true(info->bits > 0 && info->lane_bits % 8 == 0 && info->lane_bits > 0);
        if (info->exponent_bits)
            assert_int_equal(1 + info->exponent_bits + info->mantissa_bits, info->lane_bits);
        assert_int_equal(mth_dtype_lane_bytes((enum mth_dtype)i), info->lane_bits / 8);
    }
    assert_ptr_equal(mth_dtype_info((enum mth_dtype)MTH_N_DTYPES), mth_dtype_info(MTH_DTYPE_OPAQUE));
    assert_ptr_equal(mth_dtype_info((enum mth_dtype) - 1), mth_dtype_info(MTH_DTYPE_OPAQUE));
}

static void symbols_take_the_bytes_of_their_containers(void **state)
{
    (void)state;
    const struct mth_symbol_type eleven = {.symbol_bits = 11, .container_bits = 11};
    for (size_t n = 0; n < 100; n++)
        assert_int_equal(mth_symbol_bytes(&eleven, n), (n * 11 + 7) / 8);
    const struct mth_symbol_type bf16 = mth_symbol_type_of(MTH_DTYPE_BF16);
    assert_int_equal(mth_symbol_bytes(&bf16, 5), 10);
    const struct mth_symbol_type c64 = mth_symbol_type_of(MTH_DTYPE_C64);
    assert_int_equal(mth_symbol_bytes(&c64, 2), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: the features of a process are found once, and its children inherit them. */
        cmocka_unit_test(switched_off_cpu_features_are_gone),
        cmocka_unit_test(every_status_has_its_own_name_and_sentence),
        cmocka_unit_test(an_error_is_one_line_whatever_it_quotes),
        cmocka_unit_test(sizes_that_do_not_fit_are_refused_and_left_alone),
        cmocka_unit_test(file_fields_are_little_endian),
        cmocka_unit_test(an_account_counts_what_is_allocated),
        cmocka_unit_test(an_account_refuses_what_passes_its_limit),
        cmocka_unit_test(digests_are_those_of_xxhsum),
        cmocka_unit_test(a_digest_does_not_depend_on_the_pieces),
        cmocka_unit_test(a_digest_by_blocks_is_that_of_the_bytes),
        cmocka_unit_test(every_instruction_set_gives_the_same_hash),
        cmocka_unit_test(copies_away_and_near_are_copies),
        cmocka_unit_test(cpu_features_have_names),
        cmocka_unit_test(a_pool_runs_each_worker_once),
        cmocka_unit_test(a_pool_has_between_1_and_4096_threads),
        cmocka_unit_test(every_dtype_is_found_by_its_name_in_any_case),
        cmocka_unit_test(the_fields_of_a_float_fill_its_lane),
        cmocka_unit_test(symbols_take_the_bytes_of_their_containers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
