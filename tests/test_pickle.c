/* Laws of the pickle machine: what Python writes is described, nothing is called, and nothing that lies gets far. */
#include "base/checked.h"
#include "formats/pickle.h"
#include "tests/support/guard.h"
#include "tests/support/pickle_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROOM_BYTES = 8 << 20 };

/* One pickle, read from memory that ends at a page without access. */
struct read {
    struct mth_memory *memory;
    struct mth_pickle pickle;
    struct mth_error err;
    uint64_t n_read;
    int status;
};

static void pickle_read(struct read *read, const void *bytes, size_t n_bytes, size_t max_bytes)
{
    uint8_t *copy = guard_alloc(n_bytes);
    struct mth_source source;
    if (n_bytes)
        memcpy(copy, bytes, n_bytes);
    *read = (struct read){.memory = mth_memory_create(0)};
    mth_source_memory("test.pkl", (struct mth_bytes){copy, n_bytes}, &source);
    read->status = mth_pickle_read(&source, 0, n_bytes, max_bytes, read->memory, &read->pickle, &read->n_read,
                                   &read->err);
    guard_free(copy, n_bytes);
    assert_true(read->n_read <= n_bytes);
    if (read->status == MTH_OK)
        return;
    assert_int_not_equal(read->status, MTH_ERR_INTERNAL);
    assert_int_equal(read->err.status, read->status);
    assert_memory_equal(read->err.text, "test.pkl: ", 10);
    assert_int_equal(mth_memory_current(read->memory), 0);
}

static void pickle_close(struct read *read)
{
    if (read->status == MTH_OK)
        mth_pickle_free(&read->pickle);
    assert_int_equal(mth_memory_current(read->memory), 0);
    mth_memory_destroy(read->memory);
}

/* Reads a pickle that must be fine, and compares what it says. */
static void says(const void *bytes, size_t n_bytes, const char *text)
{
    struct read read;
    char found[PICKLE_TEXT_BYTES];
    pickle_read(&read, bytes, n_bytes, ROOM_BYTES);
    if (read.status)
        print_error("%s\n", read.err.text);
    assert_int_equal(read.status, MTH_OK);
    assert_int_equal(read.n_read, n_bytes);
    pickle_text(&read.pickle, found);
    assert_string_equal(found, text);
    pickle_close(&read);
}

#define SAYS(bytes, text) says(bytes, sizeof(bytes) - 1, text)

static void refused(const void *bytes, size_t n_bytes, int status, const char *words)
{
    struct read read;
    pickle_read(&read, bytes, n_bytes, ROOM_BYTES);
    if (read.status != status || !strstr(read.err.text, words))
        print_error("wanted %s and '%s', got %s: %s\n", mth_status_name(status), words,
                    mth_status_name(read.status), read.err.text);
    assert_int_equal(read.status, status);
    assert_non_null(strstr(read.err.text, words));
    pickle_close(&read);
}

#define REFUSED(bytes, status, words) refused(bytes, sizeof(bytes) - 1, status, words)

/* ---- what Python writes ---- */

struct literal {
    const char *bytes;
    size_t n_bytes;
};

#define PICKLE(text)           \
    {                          \
        text, sizeof(text) - 1 \
    }

/* pickle.dumps of one value, in the protocols 0 to 5:
 *   v = {'a': [1, -2, 300, 70000, 1 << 40, -(1 << 40), 2**63 - 1, -2**63, 2**63],
 *        't': ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)), 'f': [0.5, -1e300], 'n': [None, True, False],
 *        's': 'text', 'od': collections.OrderedDict(x=1), 'e': [[], {}, ()]}
 *   v['self'] = v['a'] */
static const struct literal every_protocol[] = {
    PICKLE("(dp0\012Va\012p1\012(lp2\012I1\012aI-2\012aI300\012aI70000\012aL1099511627776L\012aL-109"
           "9511627776L\012aL9223372036854775807L\012aL-9223372036854775808L\012aL922337203685477580"
           "8L\012asVt\012p3\012((t(I1\012tp4\012(I1\012I2\012tp5\012(I1\012I2\012I3\012tp6\012(I1"
           "\012I2\012I3\012I4\012tp7\012tp8\012sVf\012p9\012(lp10\012F0.5\012aF-1e+300\012asVn\012p"
           "11\012(lp12\012NaI01\012aI00\012asVs\012p13\012Vtext\012p14\012sVod\012p15\012ccollectio"
           "ns\012OrderedDict\012p16\012(tRp17\012Vx\012p18\012I1\012ssVe\012p19\012(lp20\012(lp21"
           "\012a(dp22\012a(tasVself\012p23\012g2\012s."),
    PICKLE("}q\000(X\001\000\000\000aq\001]q\002(K\001J\376\377\377\377M,\001Jp\021\001\000L10995116"
           "27776L\012L-1099511627776L\012L9223372036854775807L\012L-9223372036854775808L\012L922337"
           "2036854775808L\012eX\001\000\000\000tq\003()(K\001tq\004(K\001K\002tq\005(K\001K\002K"
           "\003tq\006(K\001K\002K\003K\004tq\007tq\010X\001\000\000\000fq\011]q\012(G\077\340\000"
           "\000\000\000\000\000G\3767\344<\210\000u\234eX\001\000\000\000nq\013]q\014(NI01\012I00"
           "\012eX\001\000\000\000sq\015X\004\000\000\000textq\016X\002\000\000\000odq\017ccollectio"
           "ns\012OrderedDict\012q\020)Rq\021X\001\000\000\000xq\022K\001sX\001\000\000\000eq\023]q"
           "\024(]q\025}q\026)eX\004\000\000\000selfq\027h\002u."),
    PICKLE("\200\002}q\000(X\001\000\000\000aq\001]q\002(K\001J\376\377\377\377M,\001Jp\021\001\000"
           "\212\006\000\000\000\000\000\001\212\006\000\000\000\000\000\377\212\010\377\377\377\377"
           "\377\377\377\177\212\010\000\000\000\000\000\000\000\200\212\011\000\000\000\000\000\000"
           "\000\200\000eX\001\000\000\000tq\003()K\001\205q\004K\001K\002\206q\005K\001K\002K\003"
           "\207q\006(K\001K\002K\003K\004tq\007tq\010X\001\000\000\000fq\011]q\012(G\077\340\000"
           "\000\000\000\000\000G\3767\344<\210\000u\234eX\001\000\000\000nq\013]q\014(N\210\211eX"
           "\001\000\000\000sq\015X\004\000\000\000textq\016X\002\000\000\000odq\017ccollections\012"
           "OrderedDict\012q\020)Rq\021X\001\000\000\000xq\022K\001sX\001\000\000\000eq\023]q\024(]q"
           "\025}q\026)eX\004\000\000\000selfq\027h\002u."),
    PICKLE("\200\003}q\000(X\001\000\000\000aq\001]q\002(K\001J\376\377\377\377M,\001Jp\021\001\000"
           "\212\006\000\000\000\000\000\001\212\006\000\000\000\000\000\377\212\010\377\377\377\377"
           "\377\377\377\177\212\010\000\000\000\000\000\000\000\200\212\011\000\000\000\000\000\000"
           "\000\200\000eX\001\000\000\000tq\003()K\001\205q\004K\001K\002\206q\005K\001K\002K\003"
           "\207q\006(K\001K\002K\003K\004tq\007tq\010X\001\000\000\000fq\011]q\012(G\077\340\000"
           "\000\000\000\000\000G\3767\344<\210\000u\234eX\001\000\000\000nq\013]q\014(N\210\211eX"
           "\001\000\000\000sq\015X\004\000\000\000textq\016X\002\000\000\000odq\017ccollections\012"
           "OrderedDict\012q\020)Rq\021X\001\000\000\000xq\022K\001sX\001\000\000\000eq\023]q\024(]q"
           "\025}q\026)eX\004\000\000\000selfq\027h\002u."),
    PICKLE("\200\004\225\343\000\000\000\000\000\000\000}\224(\214\001a\224]\224(K\001J\376\377\377"
           "\377M,\001Jp\021\001\000\212\006\000\000\000\000\000\001\212\006\000\000\000\000\000\377"
           "\212\010\377\377\377\377\377\377\377\177\212\010\000\000\000\000\000\000\000\200\212\011"
           "\000\000\000\000\000\000\000\200\000e\214\001t\224()K\001\205\224K\001K\002\206\224K\001"
           "K\002K\003\207\224(K\001K\002K\003K\004t\224t\224\214\001f\224]\224(G\077\340\000\000"
           "\000\000\000\000G\3767\344<\210\000u\234e\214\001n\224]\224(N\210\211e\214\001s\224\214"
           "\004text\224\214\002od\224\214\013collections\224\214\013OrderedDict\224\223\224)R\224"
           "\214\001x\224K\001s\214\001e\224]\224(]\224}\224)e\214\004self\224h\002u."),
    PICKLE("\200\005\225\343\000\000\000\000\000\000\000}\224(\214\001a\224]\224(K\001J\376\377\377"
           "\377M,\001Jp\021\001\000\212\006\000\000\000\000\000\001\212\006\000\000\000\000\000\377"
           "\212\010\377\377\377\377\377\377\377\177\212\010\000\000\000\000\000\000\000\200\212\011"
           "\000\000\000\000\000\000\000\200\000e\214\001t\224()K\001\205\224K\001K\002\206\224K\001"
           "K\002K\003\207\224(K\001K\002K\003K\004t\224t\224\214\001f\224]\224(G\077\340\000\000"
           "\000\000\000\000G\3767\344<\210\000u\234e\214\001n\224]\224(N\210\211e\214\001s\224\214"
           "\004text\224\214\002od\224\214\013collections\224\214\013OrderedDict\224\223\224)R\224"
           "\214\001x\224K\001s\214\001e\224]\224(]\224}\224)e\214\004self\224h\002u."),
};

static void every_protocol_says_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof every_protocol / sizeof every_protocol[0]; i++)
        says(every_protocol[i].bytes, every_protocol[i].n_bytes,
             "{'a': [1, -2, 300, 70000, 1099511627776, -1099511627776, 9223372036854775807, "
             "-9223372036854775808, ?], "
             "'t': ((), (1), (1, 2), (1, 2, 3), (1, 2, 3, 4)), 'f': [0.5, -1.0000000000000001e+300], "
             "'n': [None, True, False], 's': 'text', 'od': <collections.OrderedDict>()|{'x': 1}, 'e': [[], "
             "{}, ()], "
             "'self': [1, -2, 300, 70000, 1099511627776, -1099511627776, 9223372036854775807, "
             "-9223372036854775808, ?]}");
}

static void every_opcode_is_known(void **state)
{
    (void)state;
    SAYS("I7\n.", "7");
    SAYS("I01\n.", "True");
    SAYS("I00\n.", "False");
    SAYS("I-12\n.", "-12");
    SAYS("Inonsense\n.", "?");
    SAYS("L7L\n.", "7");
    SAYS("L99999999999999999999L\n.", "?");
    SAYS("F1.5\n.", "1.5");
    SAYS("S'old'\n.", "'old'");
    SAYS("S\"\"\n.", "''");
    SAYS("Vold\n.", "'old'");
    SAYS("U\3old.", "'old'");
    SAYS("T\3\0\0\0old.", "'old'");
    SAYS("\x8c\3new.", "'new'");
    SAYS("X\3\0\0\0new.", "'new'");
    SAYS("\x8d\3\0\0\0\0\0\0\0new.", "'new'");
    SAYS("C\3abc.", "b[3 bytes]");
    SAYS("B\3\0\0\0abc.", "b[3 bytes]");
    SAYS("\x8e\3\0\0\0\0\0\0\0abc.", "b[3 bytes]");
    SAYS("\x96\3\0\0\0\0\0\0\0abc.", "b[3 bytes]");
    SAYS("K\xff.", "255");
    SAYS("M\xff\xff.", "65535");
    SAYS("J\xff\xff\xff\xff.", "-1");
    SAYS("J\xff\xff\xff\x7f.", "2147483647");
    /* Just where whole numbers get a node of their own. */
    SAYS("J\xfe\xff\xff\x7fq\0h\0\x86.", "(2147483646, 2147483646)");
    SAYS("J\xff\xff\xff\x7fq\0h\0\x86.", "(2147483647, 2147483647)");
    SAYS("\x8a\5\0\0\0\x80\0q\0h\0\x86.", "(2147483648, 2147483648)");
    SAYS("\x8a\0.", "0");
    SAYS("\x8a\1\x80.", "-128");
    SAYS("\x8a\4\xff\xff\xff\xff.", "-1");
    SAYS("\x8b\2\0\0\0\0\1.", "256");
    SAYS("\x8a\x09zzzzzzzzz.", "?");
    SAYS("G\xbf\xf8\0\0\0\0\0\0.", "-1.5");
    SAYS("(K\1K\2l.", "[1, 2]");
    SAYS("(K\1K\2d.", "{1: 2}");
    SAYS("(K\1K\2t.", "(1, 2)");
    SAYS("(t.", "()");
    SAYS("(l.", "[]");
    SAYS("(d.", "{}");
    SAYS("(\x91.", "{}");
    SAYS("(im\nC\n.", "<m.C>()");
    SAYS("\x8f(K\1K\2\x90.", "{1, 2}");
    SAYS("(K\1K\2\x91.", "{1, 2}");
    SAYS("]K\1a(K\2K\3e.", "[1, 2, 3]");
    SAYS("}K\1K\2s(K\3K\4K\5K\6u.", "{1: 2, 3: 4, 5: 6}");
    SAYS("K\1K\0020.", "1");
    SAYS("K\1(K\2K\0031.", "1");
    SAYS("K\1(0.", "1");
    SAYS("K\0012\x86.", "(1, 1)");
    SAYS("K\5q\7h\7\x86.", "(5, 5)");
    SAYS("K\5p3\ng3\n\x86.", "(5, 5)");
    SAYS("K\5r\3\0\0\0j\3\0\0\0\x86.", "(5, 5)");
    SAYS("K\5\x94K\6\x94h\0h\1\x86\x86\x86.", "(5, (6, (5, 6)))");
    SAYS("cm\nn\n.", "<m.n>");
    SAYS("\x8c\1m\x8c\3n.o\x93.", "<m.n.o>");
    SAYS("cm\nf\n)R.", "<m.f>()");
    SAYS("cm\nC\n)\x81}\x8c\1xK\1sb.", "<m.C>()|{'x': 1}");
    SAYS("cm\nC\nK\1\x85}\x92.", "<m.C>(1)");
    SAYS("(K\1im\nC\n.", "<m.C>(1)");
    SAYS("(cm\nC\nK\1o.", "<m.C>(1)");
    SAYS("cm\nC\n)R(K\1K\2u.", "<m.C>()|{1: 2}");
    SAYS("cm\nC\n)R(K\1K\2e.", "<m.C>()|[1, 2]");
    SAYS("Pkey\n.", "@'key'");
    SAYS("K\1Q.", "@1");
    SAYS("\x82\1.", "?");
    SAYS("\x83\1\0.", "?");
    SAYS("\x84\1\0\0\0.", "?");
    SAYS("\x97\x98.", "?");
    SAYS("\x82\1K\1a.", "?");
    SAYS("\x80\5\x95\2\0\0\0\0\0\0\0N.", "None");
}

static void what_lies_behind_stop_is_another_pickle(void **state)
{
    (void)state;
    struct read read;
    pickle_read(&read, "K\1.K\2.", 6, ROOM_BYTES);
    assert_int_equal(read.status, MTH_OK);
    assert_int_equal(read.n_read, 3);
    pickle_close(&read);
}

static void items_keep_their_order_over_batches_and_blocks(void **state)
{
    (void)state;
    enum { N = 50000, BATCH = 1000 };
    struct read read;
    struct mth_pickle_cursor cursor;
    uint32_t key, value;
    uint8_t *bytes = malloc(2 + N * 6 + N / BATCH * 2 + 1), *p = bytes;
    assert_non_null(bytes);
    *p++ = '}';
    for (uint32_t i = 0; i < N; i++) {
        if (i % BATCH == 0)
            *p++ = '(';
        *p++ = 'M';
        mth_store16(p, (uint16_t)i);
        p += 2;
        *p++ = 'M';
        mth_store16(p, (uint16_t)(i + 1));
        p += 2;
        if (i % BATCH == BATCH - 1)
            *p++ = 'u';
    }
    *p++ = '.';
    pickle_read(&read, bytes, (size_t)(p - bytes), ROOM_BYTES);
    assert_int_equal(read.status, MTH_OK);
    assert_int_equal(mth_pickle_length(&read.pickle, read.pickle.root), N);
    mth_pickle_begin(&read.pickle, read.pickle.root, &cursor);
    for (int64_t i = 0; i < N; i++) {
        int64_t found;
        assert_true(mth_pickle_next(&cursor, &key, &value));
        assert_true(mth_pickle_int(&read.pickle, key, &found) && found == i);
        assert_true(mth_pickle_int(&read.pickle, value, &found) && found == i + 1);
    }
    assert_false(mth_pickle_next(&cursor, &key, &value));
    pickle_close(&read);
    free(bytes);
}

static void long_texts_are_kept_as_their_length(void **state)
{
    (void)state;
    for (size_t n = MTH_PICKLE_TEXT_MAX_BYTES - 1; n <= MTH_PICKLE_TEXT_MAX_BYTES + 1; n++) {
        struct read read;
        size_t n_text = 0;
        uint8_t *bytes = calloc(1, n + 6);
        assert_non_null(bytes);
        bytes[0] = 'X';
        mth_store32(bytes + 1, (uint32_t)n);
        memset(bytes + 5, 'x', n);
        bytes[n + 5] = '.';
        pickle_read(&read, bytes, n + 6, ROOM_BYTES);
        assert_int_equal(read.status, MTH_OK);
        const char *text = mth_pickle_text(&read.pickle, read.pickle.root, &n_text);
        assert_int_equal(text != NULL, n <= MTH_PICKLE_TEXT_MAX_BYTES);
        assert_int_equal(mth_pickle_length(&read.pickle, read.pickle.root), n);
        if (text)
            assert_int_equal(strlen(text), n);
        pickle_close(&read);
        free(bytes);
    }
}

static void a_description_may_have_cycles(void **state)
{
    (void)state;
    SAYS("]q\0h\0a.", "[[[[[[[[[[[[[[[[[[[[...]]]]]]]]]]]]]]]]]]]]");
    SAYS("cm\nC\n)Rq\0}\x8c\1sh\0sb0h\0.",
         "<m.C>()|{'s': <m.C>()|{'s': <m.C>()|{'s': <m.C>()|{'s': <m.C>()|{'s': <m.C>()|{'s': <m.C>()|{'s': "
         "<m.C>()|{'s': <m.C>()|{'s': <m.C>()|{...: ...}}}}}}}}}}");
}

/* ---- what lies ---- */

static void what_does_not_fit_the_stack_is_refused(void **state)
{
    (void)state;
    static const char *const short_of[] = {
        ".",     "0.",    "1.",     "2.",      "a.",    "N a.",   "s.",    "NNs.",    "b.",    "Nb.",
        "R.",    "NR.",   "t.",     "l.",      "d.",    "e.",     "u.",    "o.",      "Q.",    "q\1.",
        "\x94.", "\x85.", "N\x86.", "NN\x87.", "\x93.", "N\x93.", "\x81.", "NN\x92.", "\x90.", "\x91.",
        "(a.",   "N(R.",  "NN(R.",  "N(\x85.", "(.",    "N(e.",   "N(NNu."};
    for (size_t i = 0; i < sizeof short_of / sizeof short_of[0]; i++)
        refused(short_of[i], strlen(short_of[i]), MTH_ERR_FORMAT, "");
    REFUSED(")NN(R.", MTH_ERR_FORMAT, "too little on the stack");
    REFUSED("Ne.", MTH_ERR_FORMAT, "no mark");
    REFUSED("NNa.", MTH_ERR_FORMAT, "items put into what holds none");
    REFUSED("}Na.", MTH_ERR_FORMAT, "items put into a dict");
    REFUSED("]NNs.", MTH_ERR_FORMAT, "entries put into what is no dict");
    REFUSED("}(Nu.", MTH_ERR_FORMAT, "a key without a value");
    REFUSED("(Nd.", MTH_ERR_FORMAT, "a key without a value");
    REFUSED("cm\nC\n)RNNsNa.", MTH_ERR_FORMAT, "items of one kind put into an object of another");
    REFUSED("(o.", MTH_ERR_FORMAT, "an object without a class");
    REFUSED("Sx\n.", MTH_ERR_FORMAT, "without its quotes");
    REFUSED("h\0.", MTH_ERR_FORMAT, "never put");
    REFUSED("gx\n.", MTH_ERR_FORMAT, "a memo number that is none");
    REFUSED("g-1\n.", MTH_ERR_FORMAT, "a memo number that is none");
    REFUSED("Nr\xff\xff\xff\x7f.", MTH_ERR_FORMAT,
            "a memo number that no pickler gives (pickle, byte 1 of the file)");
    REFUSED("\x80\6N.", MTH_ERR_FORMAT, "a protocol later than 5");
}

static void an_opcode_that_there_is_not_is_refused(void **state)
{
    (void)state;
    static const char known[] = "().0123NIJKLMFGRSTUVXPQ]}abcdeghijlopqrstu"
                                "BC";
    for (unsigned opcode = 0; opcode < 256; opcode++) {
        uint8_t bytes[2] = {(uint8_t)opcode, '.'};
        if ((opcode >= 0x80 && opcode <= 0x98) || (opcode && strchr(known, (int)opcode) && opcode != '3'))
            continue;
        refused(bytes, 2, MTH_ERR_FORMAT, "an opcode that no protocol has (pickle, byte 0 of the file)");
    }
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof every_protocol / sizeof every_protocol[0]; i++) {
        for (size_t n = 0; n < every_protocol[i].n_bytes; n++) {
            struct read read;
            pickle_read(&read, every_protocol[i].bytes, n, ROOM_BYTES);
            assert_int_equal(read.status, MTH_ERR_TRUNCATED);
            pickle_close(&read);
        }
    }
}

static void every_bit_flip_gives_a_description_or_a_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof every_protocol / sizeof every_protocol[0]; i++) {
        for (size_t bit = 0; bit < 8 * every_protocol[i].n_bytes; bit++) {
            struct read read;
            char text[PICKLE_TEXT_BYTES];
            uint8_t bytes[512];
            memcpy(bytes, every_protocol[i].bytes, every_protocol[i].n_bytes);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            pickle_read(&read, bytes, every_protocol[i].n_bytes, ROOM_BYTES);
            if (read.status == MTH_OK)
                pickle_text(&read.pickle, text);
            pickle_close(&read);
        }
    }
}

static void lengths_beyond_the_end_take_no_memory(void **state)
{
    (void)state;
    static const struct literal lies[] = {
        PICKLE("X\xff\xff\xff\xff."),
        PICKLE("T\xff\xff\xff\xff."),
        PICKLE("B\xff\xff\xff\x7f."),
        PICKLE("\x8b\xff\xff\xff\xff."),
        PICKLE("\x8b\xff\xff\xff\x7f."),
        PICKLE("\x8d\xff\xff\xff\xff\xff\xff\xff\xff."),
        PICKLE("\x8e\xff\xff\xff\xff\xff\xff\xff\x7f."),
        PICKLE("\x96\0\0\0\0\0\0\0\x80."),
        PICKLE("\x95\xff\xff\xff\xff\xff\xff\xff\xff."),
        PICKLE("\x95\x02\0\0\0\0\0\0\0."),
        PICKLE("U\xff."),
        PICKLE("\x8a\xff."),
        PICKLE("I1"),
    };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct read read;
        pickle_read(&read, lies[i].bytes, lies[i].n_bytes, ROOM_BYTES);
        assert_int_equal(read.status, MTH_ERR_TRUNCATED);
        assert_true(mth_memory_peak(read.memory) < 512 << 10);
        pickle_close(&read);
    }
}

static void a_line_longer_than_the_window_is_refused(void **state)
{
    (void)state;
    enum { N = 100000 };
    uint8_t *bytes = malloc(N);
    assert_non_null(bytes);
    memset(bytes, 'I', N);
    bytes[N - 2] = '\n';
    bytes[N - 1] = '.';
    refused(bytes, N, MTH_ERR_LIMIT, "is longer than 65535 bytes");
    free(bytes);
}

/* What takes most memory for a byte: each of these, over and over. */
static void memory_is_bounded_by_the_pickle_and_by_the_limit(void **state)
{
    (void)state;
    static const struct literal bombs[] = {
        PICKLE("}"),         PICKLE("("),      PICKLE("N"),  PICKLE(")R"),   PICKLE("2R"),
        PICKLE("Na"),        PICKLE("]\x94"),  PICKLE("Q"),  PICKLE("\x85"), PICKLE("F1\n"),
        PICKLE("X\0\0\0\0"), PICKLE("\x8c\0"), PICKLE("(l"), PICKLE("(Ne"),  PICKLE("cm\nn\n"),
    };
    enum { N = 600000 };
    uint8_t *bytes = malloc(N);
    assert_non_null(bytes);
    for (size_t i = 0; i < sizeof bombs / sizeof bombs[0]; i++) {
        struct read read;
        size_t n = 0;
        bytes[n++] = ']';
        while (n + bombs[i].n_bytes + 1 <= N) {
            memcpy(bytes + n, bombs[i].bytes, bombs[i].n_bytes);
            n += bombs[i].n_bytes;
        }
        bytes[n++] = '.';
        pickle_read(&read, bytes, n, (size_t)1 << 40);
        assert_true(mth_memory_peak(read.memory) <= 32 * n + (320 << 10));
        pickle_close(&read);
        pickle_read(&read, bytes, n, 400 << 10);
        assert_true(read.status == MTH_ERR_LIMIT || read.status == MTH_ERR_FORMAT || read.status == MTH_OK);
        /* The limit, the window, and an old block beside the new one while it is copied. */
        assert_true(mth_memory_peak(read.memory) <= (400 << 10) + (68 << 10) + (270 << 10));
        pickle_close(&read);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_protocol_says_the_same),
        cmocka_unit_test(every_opcode_is_known),
        cmocka_unit_test(what_lies_behind_stop_is_another_pickle),
        cmocka_unit_test(items_keep_their_order_over_batches_and_blocks),
        cmocka_unit_test(long_texts_are_kept_as_their_length),
        cmocka_unit_test(a_description_may_have_cycles),
        cmocka_unit_test(what_does_not_fit_the_stack_is_refused),
        cmocka_unit_test(an_opcode_that_there_is_not_is_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_bit_flip_gives_a_description_or_a_line),
        cmocka_unit_test(lengths_beyond_the_end_take_no_memory),
        cmocka_unit_test(a_line_longer_than_the_window_is_refused),
        cmocka_unit_test(memory_is_bounded_by_the_pickle_and_by_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
