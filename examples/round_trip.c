/*
 * An example of the library: compress a buffer of bf16 and restore it.
 *
 *     cc round_trip.c $(pkg-config --cflags --libs mithril) -o round_trip && ./round_trip
 */
#include <mithril.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_BYTES = 1 << 20 };

int main(void)
{
    uint8_t *weights = malloc(N_BYTES);
    uint8_t *restored = malloc(N_BYTES);
    size_t capacity = mth_buffer_bound(N_BYTES), n_packed = 0;
    uint8_t *packed = malloc(capacity);
    struct mth_error err = {0};
    int status = MTH_ERR_NO_MEMORY;
    if (!weights || !restored || !packed)
        goto end;

    /* Something like weights: mantissas that look random, exponents that hardly differ. */
    uint32_t noise = 1;
    for (size_t i = 0; i < N_BYTES; i += 2) {
        noise = noise * 1664525u + 1013904223u;
        weights[i] = (uint8_t)(noise >> 24);
        weights[i + 1] = (uint8_t)(0x3b + (noise >> 23 & 1));
    }
    status = mth_buffer_compress(weights, N_BYTES, MTH_DTYPE_BF16, packed, capacity, &n_packed, &err);
    if (!status)
        status = mth_buffer_decompress(packed, n_packed, MTH_DTYPE_BF16, restored, N_BYTES, &err);
    if (!status && memcmp(weights, restored, N_BYTES) != 0)
        status = MTH_ERR_INTERNAL;
    if (!status)
        printf("%d bytes -> %zu bytes, %.3fx, restored exactly\n", (int)N_BYTES, n_packed,
               N_BYTES / (double)n_packed);
end:
    if (status)
        fprintf(stderr, "round_trip: %s\n", err.status ? err.text : mth_status_text(status));
    free(weights);
    free(restored);
    free(packed);
    return status ? EXIT_FAILURE : EXIT_SUCCESS;
}
