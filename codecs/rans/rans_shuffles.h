/* Byte shuffles that spread bytes over, or collect them from, the lanes of a group of 8 that a bit mask names. */
#ifndef MTH_CODECS_RANS_SHUFFLES_H
#define MTH_CODECS_RANS_SHUFFLES_H

#include <stdint.h>

/* By mask. first is for the lower 8 bytes of 16, second for the upper ones: indices 8 higher. */
struct mth_rans_shuffles {
    uint8_t first[256][8];
    uint8_t second[256][8];
};

/* The k-th lane of the mask gets byte k; other lanes get 0. */
extern const struct mth_rans_shuffles mth_rans_expand;

/* The bytes of the lanes of the mask, in order, at the end; 0 in front. */
extern const struct mth_rans_shuffles mth_rans_compress;

#endif
