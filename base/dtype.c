/* The table of element types; see dtype.h. */
#include "base/dtype.h"

#include <string.h>

static const struct mth_dtype_info dtypes[MTH_N_DTYPES] = {
    [MTH_DTYPE_OPAQUE] = {"OPAQUE", 8, 8, 0, 0},
    [MTH_DTYPE_BOOL] = {"BOOL", 8, 8, 0, 0},
    [MTH_DTYPE_U8] = {"U8", 8, 8, 0, 0},
    [MTH_DTYPE_I8] = {"I8", 8, 8, 0, 0},
    [MTH_DTYPE_U16] = {"U16", 16, 16, 0, 0},
    [MTH_DTYPE_I16] = {"I16", 16, 16, 0, 0},
    [MTH_DTYPE_U32] = {"U32", 32, 32, 0, 0},
    [MTH_DTYPE_I32] = {"I32", 32, 32, 0, 0},
    [MTH_DTYPE_U64] = {"U64", 64, 64, 0, 0},
    [MTH_DTYPE_I64] = {"I64", 64, 64, 0, 0},
    [MTH_DTYPE_BF16] = {"BF16", 16, 16, 8, 7},
    [MTH_DTYPE_F16] = {"F16", 16, 16, 5, 10},
    [MTH_DTYPE_F32] = {"F32", 32, 32, 8, 23},
    [MTH_DTYPE_F64] = {"F64", 64, 64, 11, 52},
    [MTH_DTYPE_F8_E4M3] = {"F8_E4M3", 8, 8, 4, 3},
    [MTH_DTYPE_F8_E5M2] = {"F8_E5M2", 8, 8, 5, 2},
    [MTH_DTYPE_F8_E8M0] = {"F8_E8M0", 8, 8, 0, 0},
    [MTH_DTYPE_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", 8, 8, 4, 3},
    [MTH_DTYPE_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", 8, 8, 5, 2},
    [MTH_DTYPE_F6_E2M3] = {"F6_E2M3", 6, 8, 0, 0},
    [MTH_DTYPE_F6_E3M2] = {"F6_E3M2", 6, 8, 0, 0},
    [MTH_DTYPE_F4] = {"F4", 4, 8, 0, 0},
    [MTH_DTYPE_C64] = {"C64", 64, 32, 8, 23},
};

static const struct {
    const char *name;
    enum mth_dtype dtype;
} aliases[] = {
    {"bfloat16", MTH_DTYPE_BF16}, {"float16", MTH_DTYPE_F16},  {"half", MTH_DTYPE_F16},
    {"float32", MTH_DTYPE_F32},   {"float", MTH_DTYPE_F32},    {"float64", MTH_DTYPE_F64},
    {"double", MTH_DTYPE_F64},    {"int8", MTH_DTYPE_I8},      {"uint8", MTH_DTYPE_U8},
    {"int16", MTH_DTYPE_I16},     {"uint16", MTH_DTYPE_U16},   {"int32", MTH_DTYPE_I32},
    {"uint32", MTH_DTYPE_U32},    {"int64", MTH_DTYPE_I64},    {"uint64", MTH_DTYPE_U64},
    {"complex64", MTH_DTYPE_C64}, {"bytes", MTH_DTYPE_OPAQUE},
};

const struct mth_dtype_info *mth_dtype_info(enum mth_dtype dtype)
{
    return &dtypes[(unsigned)dtype < MTH_N_DTYPES ? dtype : MTH_DTYPE_OPAQUE];
}

static int lower(int c)
{
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

static int same_name(const char *a, const char *b, size_t n_b)
{
    size_t i = 0;
    while (a[i] && i < n_b && lower((unsigned char)a[i]) == lower((unsigned char)b[i]))
        i++;
    return i == n_b && a[i] == '\0';
}

enum mth_dtype mth_dtype_find(const char *name, size_t n_name)
{
    for (unsigned i = 0; i < MTH_N_DTYPES; i++) {
        if (same_name(dtypes[i].name, name, n_name))
            return (enum mth_dtype)i;
    }
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++) {
        if (same_name(aliases[i].name, name, n_name))
            return aliases[i].dtype;
    }
    return MTH_N_DTYPES;
}
