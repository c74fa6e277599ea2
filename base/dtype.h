/* Element types of tensors, as data: names, widths, and where a float keeps its fields. */
#ifndef MTH_BASE_DTYPE_H
#define MTH_BASE_DTYPE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Append-only: containers store these numbers. */
enum mth_dtype {
    MTH_DTYPE_OPAQUE = 0, /* bytes that are no tensor: headers, padding */
    MTH_DTYPE_BOOL = 1,
    MTH_DTYPE_U8 = 2,
    MTH_DTYPE_I8 = 3,
    MTH_DTYPE_U16 = 4,
    MTH_DTYPE_I16 = 5,
    MTH_DTYPE_U32 = 6,
    MTH_DTYPE_I32 = 7,
    MTH_DTYPE_U64 = 8,
    MTH_DTYPE_I64 = 9,
    MTH_DTYPE_BF16 = 10,
    MTH_DTYPE_F16 = 11,
    MTH_DTYPE_F32 = 12,
    MTH_DTYPE_F64 = 13,
    MTH_DTYPE_F8_E4M3 = 14,
    MTH_DTYPE_F8_E5M2 = 15,
    MTH_DTYPE_F8_E8M0 = 16,
    MTH_DTYPE_F8_E4M3FNUZ = 17,
    MTH_DTYPE_F8_E5M2FNUZ = 18,
    MTH_DTYPE_F6_E2M3 = 19,
    MTH_DTYPE_F6_E3M2 = 20,
    MTH_DTYPE_F4 = 21,
    MTH_DTYPE_C64 = 22,
    MTH_N_DTYPES
};

struct mth_dtype_info {
    const char *name;       /* as safetensors writes it: "BF16"; "OPAQUE" for MTH_DTYPE_OPAQUE */
    unsigned bits;          /* of one element of the shape */
    unsigned lane_bits;     /* of the unit that transforms work on: 32 for C64, 8 for what is below a byte */
    unsigned exponent_bits; /* of a lane; 0 where it is not a float with sign, exponent and mantissa */
    unsigned mantissa_bits;
};

/* Never NULL; a number that is no dtype gives the row of MTH_DTYPE_OPAQUE. */
const struct mth_dtype_info *mth_dtype_info(enum mth_dtype dtype);

/* The dtype of a name in any case ("bf16", "BF16", also "float32", "bfloat16"); MTH_N_DTYPES when there is
 * none. */
enum mth_dtype mth_dtype_find(const char *name, size_t n_name);

/* Lane width in whole bytes, at least 1. */
static inline size_t mth_dtype_lane_bytes(enum mth_dtype dtype)
{
    return mth_dtype_info(dtype)->lane_bits / 8;
}

#ifdef __cplusplus
}
#endif
#endif
