/* The huffman kernel in portable C. */
#define MTH_HUFFMAN_NAME   "portable"
#define MTH_HUFFMAN_KERNEL mth_huffman_kernel_portable
#define MTH_HUFFMAN_TARGET
#include "codecs/huffman/huffman_kernel_template.h"
