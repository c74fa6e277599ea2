/* The huffman kernel with BMI1 and BMI2: shifts by any register, and the count of trailing zeros. */
#if defined(__x86_64__) && defined(__GNUC__)
#define MTH_HUFFMAN_NAME   "bmi2"
#define MTH_HUFFMAN_KERNEL mth_huffman_kernel_bmi2
#define MTH_HUFFMAN_TARGET __attribute__((target("bmi,bmi2")))
#include "codecs/huffman/huffman_kernel_template.h"
#endif
