/*
 * Laws of the torch readers on pickles written by hand: how tensors are named, which objects hide one, and which do not
 * fit their storage.
 */
#include "tests/support/torch_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- names ---- */

static void a_name_is_the_path(void **state)
{
    (void)state;
    NAMES(VECTOR, "tensor ");
    NAMES("}\x8c\1w" VECTOR "s", "w ");
    NAMES("}\x8c\1a}\x8c\1w" VECTOR "ss", "a.w ");
    NAMES("]" VECTOR "a" VECTOR "a", "0 1 ");
    NAMES(VECTOR VECTOR "\x86", "0 1 ");
    NAMES("}(K\7" VECTOR "J\xff\xff\xff\xff" VECTOR "N" VECTOR "u", "7 -1 ? ");
    NAMES("}\x8c\3"
          "a\0b" VECTOR "s",
          "a?b ");
    NAMES("}\x8c\0" VECTOR "s", "tensor ");
    NAMES("}\x8c\3w.x" VECTOR "s", "w.x ");
    NAMES("N", "");
    NAMES("]", "");
}

static void objects_are_looked_into(void **state)
{
    (void)state;
    NAMES("ccollections\nOrderedDict\n)R\x8c\1w" VECTOR "s", "w ");
    NAMES("ccollections\ndefaultdict\nc__builtin__\nlist\n\x85R\x8c\1w" VECTOR "s", "w ");
    /* As Python 2 wrote an OrderedDict. */
    NAMES("ccollections\nOrderedDict\n](]\x8c\1v"
          "a" VECTOR "a]\x8c\1w"
          "a" VECTOR "ae\x85R",
          "v w ");
    NAMES("cm\nC\n)\x81}\x8c\1w" VECTOR "sb", "w ");
    NAMES("cm\nC\n)\x81N}\x8c\1w" VECTOR "s\x86"
          "b",
          "w ");
    NAMES("cm\nC\n" VECTOR "\x85R", "tensor ");
    NAMES("cm\nC\n" VECTOR VECTOR "\x86R", "0 1 ");
    NAMES("}\x8c\1l"
          "ccollections\ndeque\n)R" VECTOR "as",
          "l.0 ");
    NAMES("}\x8c\1p"
          "ctorch._utils\n_rebuild_parameter\n" VECTOR "\x88N\x87Rs",
          "p ");
    /* A subclass: function, class, arguments, attributes. */
    NAMES("}\x8c\1p"
          "ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_parameter\ncm\nC\n" VECTOR
          "\x88N\x87}\x8c\1x" VECTOR "stRs",
          "p p.x ");
    /* A module's own dicts leave no trace; the same keys elsewhere are keys. */
    NAMES("cm\nM\n)\x81}(\x8c\x0b_parameters}\x8c\1w" VECTOR "s\x8c\x08_modules}\x8c\1m"
          "cm\nM\n)\x81}\x8c\x08_buffers}"
          "\x8c\1b" VECTOR "ssbsub",
          "w m.b ");
    NAMES("}\x8c\x08_modules" VECTOR "s", "_modules ");
}

static void storages_are_tensors_too(void **state)
{
    (void)state;
    NAMES("}\x8c\1s" STORAGE("FloatStorage", "0", "K\x0c") "s", "s ");
    NAMES("}\x8c\1s" STORAGE("UntypedStorage", "0", "K\x30") "s", "s ");
    /* Other persistent ids are nothing of ours. */
    NAMES("}(\x8c\1s"
          "K\1Q\x8c\1t"
          "(\x8c\6module"
          "NNtQ\x8c\1u"
          "(\x8c\7storage"
          "cm\nC\n\x8c\1"
          "0\x8c\3cpuK\1tQu",
          "");
    REFUSED("}\x8c\1s" STORAGE("FloatStorage", "0", "K\x0d") "s", MTH_ERR_FORMAT,
            "has 48 bytes, the pickle says 52");
}

static void a_name_that_came_before_gets_a_number(void **state)
{
    (void)state;
    NAMES("}(\x8c\3"
          "a.b" VECTOR "\x8c\1"
          "a}\x8c\1"
          "b" VECTOR "s\x8c\1"
          "c" VECTOR "u",
          "a.b a.b#1 c ");
    NAMES("}(\x8c\1"
          "a" VECTOR "\x8c\1"
          "a" VECTOR "\x8c\3"
          "a#1" VECTOR "u",
          "a a#1#1 a#1 ");
}

/* ---- regions ---- */

static void a_storage_of_several_dtypes_is_bytes(void **state)
{
    (void)state;
#define TYPED(dtype, n)                                                                               \
    "ctorch._utils\n_rebuild_tensor_v3\n(" STORAGE("UntypedStorage", "0", "K\x30") "K\0" n            \
                                                                                   "\x85K\1\x85\x89N" \
                                                                                   "ctorch\n" dtype "\ntR"
    static const struct {
        const char *pickle;
        size_t n_bytes;
        enum mth_dtype dtype;
    } cases[] = {
        {"]" TYPED("uint16", "K\x18") "a.", sizeof("]" TYPED("uint16", "K\x18") "a."), MTH_DTYPE_U16},
        {"]" TYPED("uint16", "K\x18") "a" TYPED("float8_e5m2", "K\x30") "a.",
         sizeof("]" TYPED("uint16", "K\x18") "a" TYPED("float8_e5m2", "K\x30") "a."), MTH_DTYPE_U8},
        {"]" TYPED("float32", "K\0") "a" TYPED("float8_e5m2", "K\x30") "a.",
         sizeof("]" TYPED("float32", "K\0") "a" TYPED("float8_e5m2", "K\x30") "a."), MTH_DTYPE_F8_E5M2},
        {"]" STORAGE("UntypedStorage", "0", "K\x30") "a" TYPED("float32", "K\x0c") "a.",
         sizeof("]" STORAGE("UntypedStorage", "0", "K\x30") "a" TYPED("float32", "K\x0c") "a."),
         MTH_DTYPE_F32},
        {"]" STORAGE("UntypedStorage", "0", "K\x30") "a.",
         sizeof("]" STORAGE("UntypedStorage", "0", "K\x30") "a."), MTH_DTYPE_U8},
        {"]" TYPED("complex128", "K\3") "a.", sizeof("]" TYPED("complex128", "K\3") "a."), MTH_DTYPE_F64},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mapped mapped;
        torch_map_pickle(&mapped, cases[i].pickle, cases[i].n_bytes);
        assert_int_equal(mapped.status, MTH_OK);
        assert_int_equal(mapped.map.n_regions, 3);
        assert_int_equal(mapped.map.regions[1].dtype, cases[i].dtype);
        assert_int_equal(mapped.map.regions[1].n_bytes, STORAGE_BYTES);
        unmap(&mapped);
    }
    REFUSED("]" TYPED("float31", "K\1") "a", MTH_ERR_FORMAT, "a dtype that mithril does not know");
}

static void tensors_outside_of_their_storage_are_refused(void **state)
{
    (void)state;
#define AT(offset, size, stride) REBUILD(STORAGE("FloatStorage", "0", "K\x0c"), offset, size, stride)
#define LARGE                    "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f"
    NAMES(AT("K\0", "K\x0c\x85", "K\1\x85"), "tensor ");
    NAMES(AT("K\x0b", ")", ")"), "tensor ");
    NAMES(AT("K\x0c", "K\0\x85", "K\1\x85"), "tensor ");
    NAMES(AT("K\0", "K\4K\4\x86", "K\0K\1\x86"), "tensor ");
    NAMES(AT("K\0",
             "\x8a\5\xff\xff\xff\xff\x7f"
             "K\2\x86",
             "K\0K\1\x86"),
          "tensor ");
    NAMES(AT("K\0", "K\0" LARGE "\x86", LARGE LARGE "\x86"), "tensor ");
    REFUSED(AT("K\0", "K\x0d\x85", "K\1\x85"), MTH_ERR_FORMAT, "tensor 'tensor': it ends behind its storage");
    REFUSED(AT("K\1", "K\x0c\x85", "K\1\x85"), MTH_ERR_FORMAT, "ends behind its storage");
    REFUSED(AT("K\x0c", ")", ")"), MTH_ERR_FORMAT, "ends behind its storage");
    REFUSED(AT("K\0", "K\2\x85", "K\x0c\x85"), MTH_ERR_FORMAT, "ends behind its storage");
    REFUSED(AT(LARGE, "K\1\x85", "K\1\x85"), MTH_ERR_FORMAT, "its offset is no number");
    REFUSED(AT("K\0", LARGE LARGE "\x86", "K\0K\0\x86"), MTH_ERR_FORMAT, "passes 64 bits");
    REFUSED(AT("K\0", "K\2\x85", LARGE "\x85"), MTH_ERR_FORMAT, "passes 64 bits");
    REFUSED(AT("K\0", "K\3K\3\x86", LARGE LARGE "\x86"), MTH_ERR_FORMAT, "passes 64 bits");
    REFUSED(AT("J\xff\xff\xff\xff", "K\1\x85", "K\1\x85"), MTH_ERR_FORMAT, "its offset is no number");
    REFUSED(AT("K\0", "J\xff\xff\xff\xff\x85", "K\1\x85"), MTH_ERR_FORMAT,
            "one of its sizes or strides is no number");
    REFUSED(AT("K\0", "K\1\x85", "J\xff\xff\xff\xff\x85"), MTH_ERR_FORMAT, "is no number");
    REFUSED(AT("K\0", "K\1\x85", ")"), MTH_ERR_FORMAT, "not as many strides as dimensions");
    REFUSED(AT("K\0", "N", ")"), MTH_ERR_FORMAT, "no tuple");
    REFUSED("ctorch._utils\n_rebuild_tensor_v2\n(" STORAGE("FloatStorage", "0", "K\x0c") "tR", MTH_ERR_FORMAT,
            "no tuple");
    REFUSED("}\x8c\1w" AT("K\0", "K\x0d\x85", "K\1\x85") "s", MTH_ERR_FORMAT, "made.pt: tensor 'w': it ends");
}

static void the_number_of_dimensions_is_that_of_pytorch(void **state)
{
    (void)state;
    for (size_t n_dims = MTH_MAX_DIMS; n_dims <= MTH_MAX_DIMS + 1; n_dims++) {
        static const char head[] =
            "ctorch._utils\n_rebuild_tensor_v2\n(" STORAGE("FloatStorage", "0", "K\x0c") "K\0";
        char pickle[1024];
        size_t n = sizeof head - 1;
        memcpy(pickle, head, n);
        for (int i = 0; i < 2; i++) {
            pickle[n++] = '(';
            for (size_t d = 0; d < n_dims; d++) {
                pickle[n++] = 'K';
                pickle[n++] = 1;
            }
            pickle[n++] = 't';
        }
        for (const char *tail = "NNtR."; *tail; tail++)
            pickle[n++] = *tail;
        if (n_dims == MTH_MAX_DIMS)
            torch_names(pickle, n, "tensor ");
        else
            torch_refused(pickle, n, MTH_ERR_FORMAT, "more than 64 dimensions");
    }
}

/* ---- optimizers ---- */

/* The parameter that the tensor of a name belongs to, "none" without one. */
static void belongs(const void *pickle, size_t n_pickle, const char *name, const char *param)
{
    struct mapped mapped;
    torch_map_pickle(&mapped, pickle, n_pickle);
    assert_int_equal(mapped.status, MTH_OK);
    const struct mth_tensor *tensor = mth_region_map_find(&mapped.map, name);
    assert_non_null(tensor);
    const struct mth_tensor *found = mth_tensor_param(&mapped.map, tensor);
    assert_string_equal(found ? mth_tensor_name(&mapped.map, found) : "none", param);
    unmap(&mapped);
}

#define BELONGS(pickle, name, param) belongs(pickle ".", sizeof(pickle), name, param)
#define OTHER                        REBUILD(STORAGE("FloatStorage", "1", "K\x0c"), "K\0", "K\2\x85", "K\1\x85")
#define MODEL                        "\x8c\1m}(\x8c\1v" OTHER "\x8c\1w" VECTOR "u"
#define OPTIMIZER(state, groups)     "\x8c\1o}(\x8c\5state}(" state "u\x8c\x0cparam_groups](" groups "eu"
#define GROUP(params)                "}\x8c\6params](" params "es"

static void a_state_keyed_by_names_finds_its_parameters(void **state)
{
    (void)state;
    BELONGS("}(" MODEL OPTIMIZER("\x8c\1w}\x8c\7exp_avg" VECTOR "s", "") "u", "o.state.w.exp_avg", "m.w");
    BELONGS("}(" OPTIMIZER("\x8c\1w}\x8c\7exp_avg" VECTOR "s", "") MODEL "u", "o.state.w.exp_avg", "m.w");
    BELONGS("}(" MODEL OPTIMIZER("\x8c\1x}\x8c\7exp_avg" VECTOR "s", "") "u", "o.state.x.exp_avg", "none");
}

static void a_numbered_state_finds_its_parameters_where_counts_and_shapes_allow(void **state)
{
    (void)state;
#define STATES  "K\0}\x8c\7exp_avg" OTHER "sK\1}\x8c\7exp_avg" VECTOR "s"
#define SWAPPED "K\0}\x8c\7exp_avg" VECTOR "sK\1}\x8c\7exp_avg" OTHER "s"
    BELONGS("}(" MODEL OPTIMIZER(STATES, GROUP("K\0K\1")) "u", "o.state.1.exp_avg", "m.w");
    BELONGS("}(" MODEL OPTIMIZER(STATES, GROUP("K\0K\1")) "u", "o.state.0.exp_avg", "m.v");
    BELONGS("}(" MODEL OPTIMIZER(STATES, GROUP("K\0") GROUP("K\1")) "u", "o.state.0.exp_avg", "m.v");
    /* Groups that are not in the order of the model. */
    BELONGS("}(" MODEL OPTIMIZER(SWAPPED, GROUP("K\0") GROUP("K\1")) "u", "o.state.0.exp_avg", "m.w");
#define SIX GROUP("") GROUP("") GROUP("") GROUP("") GROUP("") GROUP("")
    BELONGS("}(" MODEL OPTIMIZER(SWAPPED, GROUP("K\0") SIX GROUP("K\1")) "u", "o.state.0.exp_avg", "m.w");
    /* Of more than eight nobody looks for an order. */
    BELONGS("}(" MODEL OPTIMIZER(SWAPPED, GROUP("K\0") SIX GROUP("") GROUP("K\1")) "u", "o.state.0.exp_avg",
            "none");
    BELONGS("}(" MODEL OPTIMIZER(SWAPPED, GROUP("K\0K\1")) "u", "o.state.0.exp_avg", "none");
    BELONGS("}(" MODEL OPTIMIZER(STATES, GROUP("K\0K\1K\2")) "u", "o.state.0.exp_avg", "none");
    BELONGS("}(" MODEL OPTIMIZER(STATES, GROUP("K\0")) "u", "o.state.0.exp_avg", "none");
    BELONGS("}(" MODEL OPTIMIZER(STATES, "NK\1]" GROUP("N")) "u", "o.state.0.exp_avg", "none");
    BELONGS("}(" OPTIMIZER(STATES, GROUP("K\0K\1")) "u", "o.state.0.exp_avg", "none");
}

/* Two groups that could each take the next parameter: nobody knows which. */
static void an_order_that_is_ambiguous_matches_nothing(void **state)
{
    (void)state;
#define THREE  "\x8c\1m}(\x8c\1v" OTHER "\x8c\1w" VECTOR "\x8c\1x" SECOND "u"
#define SECOND REBUILD(STORAGE("FloatStorage", "0", "K\x0c"), "K\3", "K\3\x85", "K\1\x85")
#define MIXED  "K\0}\x8c\7exp_avg" VECTOR "sK\1}\x8c\7exp_avg" OTHER "sK\2}\x8c\7exp_avg" VECTOR "s"
    BELONGS("}(" THREE OPTIMIZER(MIXED, GROUP("K\0") GROUP("K\1K\2")) "u", "o.state.1.exp_avg", "none");
    BELONGS("}(" THREE OPTIMIZER(MIXED, GROUP("K\0K\2") GROUP("K\1")) "u", "o.state.1.exp_avg", "m.v");
}

/* No tensor of the file fits: the states are lone, in the order of the groups, without parameters that have none. */
static void what_has_no_parameter_is_a_lone_state(void **state)
{
    (void)state;
    static const char alone[] = "}(" OPTIMIZER(STATES, GROUP("K\1") GROUP("K\2K\0")) "u.";
    static const char matched[] = "}(" MODEL OPTIMIZER(STATES, GROUP("K\0K\1")) "u.";
    struct mapped mapped;
    torch_map_pickle(&mapped, alone, sizeof alone);
    assert_int_equal(mapped.status, MTH_OK);
    assert_int_equal(mapped.map.n_lone_states, 2);
    static const char *const names[] = {"o.state.1.exp_avg", "o.state.0.exp_avg"};
    for (size_t i = 0; i < 2; i++) {
        const struct mth_lone_state *lone = &mapped.map.lone_states[i];
        assert_int_equal(lone->end - lone->first, 1);
        assert_string_equal(mth_tensor_name(&mapped.map, &mapped.map.tensors[lone->first]), names[i]);
        assert_ptr_equal(mth_tensor_group(&mapped.map, &mapped.map.tensors[lone->first]),
                         &mapped.map.groups[i]);
    }
    unmap(&mapped);
    torch_map_pickle(&mapped, matched, sizeof matched);
    assert_int_equal(mapped.map.n_lone_states, 0);
    unmap(&mapped);
}

/* A whole number in a group or, where that has none, in the first state of its parameters that says one. */
static void steps_that_are_no_tensors_are_read(void **state)
{
    (void)state;
#define STEPPED(number) "}(\x8c\7exp_avg" VECTOR "\x8c\4step" number "u"
#define WITH_STEP       "}(\x8c\6params](K\1e\x8c\4stepK\7u"
    static const char pickle[] =
        "}(" OPTIMIZER("K\0" STEPPED("K\x09") "K\1" STEPPED("K\x08") "K\2}\x8c\7exp_avg" VECTOR "s",
                       GROUP("K\0") WITH_STEP GROUP("K\2")) "u.";
    static const double wanted[] = {9, 7, 0};
    struct mapped mapped;
    torch_map_pickle(&mapped, pickle, sizeof pickle);
    assert_int_equal(mapped.status, MTH_OK);
    assert_int_equal(mapped.map.n_groups, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(mapped.map.groups[i].step == wanted[i]);
    unmap(&mapped);
    /* Each optimizer's are its own. */
    static const char two[] =
        "}(" OPTIMIZER("K\0" STEPPED("K\x09"), GROUP("K\0")) "\x8c\1q}(\x8c\5state}(K\0" STEPPED(
            "K\4") "u\x8c\x0cparam_groups](" GROUP("K\0") "euu.";
    torch_map_pickle(&mapped, two, sizeof two);
    assert_int_equal(mapped.status, MTH_OK);
    assert_int_equal(mapped.map.n_groups, 2);
    assert_true(mapped.map.groups[0].step == 9 && mapped.map.groups[1].step == 4);
    unmap(&mapped);
}

/* As of an optimizer whose states are in another file. */
static void groups_without_states_are_read(void **state)
{
    (void)state;
    static const char none[] = "}(" MODEL "\x8c\1o}\x8c\x0cparam_groups](" WITH_STEP WITH_STEP "esu.",
                      empty[] = "}(" MODEL "\x8c\1o}(\x8c\5state}\x8c\x0cparam_groups](" WITH_STEP "euu.";
    struct mapped mapped;
    torch_map_pickle(&mapped, none, sizeof none);
    assert_int_equal(mapped.status, MTH_OK);
    assert_int_equal(mapped.map.n_groups, 2);
    assert_true(mapped.map.groups[1].step == 7);
    assert_null(mth_tensor_group(&mapped.map, mth_region_map_find(&mapped.map, "m.w")));
    assert_int_equal(mth_region_map_check(&mapped.map), MTH_OK);
    unmap(&mapped);
    torch_map_pickle(&mapped, empty, sizeof empty);
    assert_int_equal(mapped.status, MTH_OK);
    assert_int_equal(mapped.map.n_groups, 1);
    unmap(&mapped);
}

static void what_an_optimizer_keeps_is_no_weight(void **state)
{
    (void)state;
    static const char pickle[] =
        "}(" MODEL OPTIMIZER("K\0}\x8c\x0fmomentum_buffer" VECTOR "s", GROUP("K\0")) "u.";
    struct mapped mapped;
    torch_map_pickle(&mapped, pickle, sizeof pickle);
    assert_int_equal(mapped.status, MTH_OK);
    assert_int_equal(mth_region_map_find(&mapped.map, "o.state.0.momentum_buffer")->role, MTH_ROLE_OTHER);
    assert_int_equal(mth_region_map_find(&mapped.map, "m.w")->role, MTH_ROLE_WEIGHT);
    unmap(&mapped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_the_path),
        cmocka_unit_test(objects_are_looked_into),
        cmocka_unit_test(storages_are_tensors_too),
        cmocka_unit_test(a_name_that_came_before_gets_a_number),
        cmocka_unit_test(a_storage_of_several_dtypes_is_bytes),
        cmocka_unit_test(tensors_outside_of_their_storage_are_refused),
        cmocka_unit_test(the_number_of_dimensions_is_that_of_pytorch),
        cmocka_unit_test(a_state_keyed_by_names_finds_its_parameters),
        cmocka_unit_test(an_order_that_is_ambiguous_matches_nothing),
        cmocka_unit_test(what_has_no_parameter_is_a_lone_state),
        cmocka_unit_test(steps_that_are_no_tensors_are_read),
        cmocka_unit_test(groups_without_states_are_read),
        cmocka_unit_test(what_an_optimizer_keeps_is_no_weight),
        cmocka_unit_test(a_numbered_state_finds_its_parameters_where_counts_and_shapes_allow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
