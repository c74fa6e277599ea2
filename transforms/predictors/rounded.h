/*
 * What stochastic rounding made of fp32 values is one of the two values next to it, and the likelier the nearer: docs/states.md, "Rounded by chance".
 *
 * predict   a stand-in for each element: a positive number whose exponent says how near the value was
 * steps     elements as what is that many units from their stand-in: none where one is the value that is counted from, 1 where it is the other one
 * restore   the elements of these again
 *
 * _chance counts from the value towards zero; _rounded, which nothing is written with any more, from the nearest.
 *
 * Shape     inputs[0]: n elements of fp32; elems, steps, out: n of 16 bits; out may be elems or steps
 * Exact     for every bit pattern of both: steps are modulo 2^16
 */
#ifndef MTH_TRANSFORMS_ROUNDED_H
#define MTH_TRANSFORMS_ROUNDED_H

#include <stddef.h>
#include <stdint.h>

void mth_predict_bf16_rounded(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
void mth_steps_bf16_rounded(const uint8_t *const *inputs, const uint8_t *elems, size_t n, uint8_t *out);
void mth_restore_bf16_rounded(const uint8_t *const *inputs, const uint8_t *steps, size_t n, uint8_t *out);
void mth_predict_f16_rounded(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
void mth_steps_f16_rounded(const uint8_t *const *inputs, const uint8_t *elems, size_t n, uint8_t *out);
void mth_restore_f16_rounded(const uint8_t *const *inputs, const uint8_t *steps, size_t n, uint8_t *out);

void mth_predict_bf16_chance(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
void mth_steps_bf16_chance(const uint8_t *const *inputs, const uint8_t *elems, size_t n, uint8_t *out);
void mth_restore_bf16_chance(const uint8_t *const *inputs, const uint8_t *steps, size_t n, uint8_t *out);
void mth_predict_f16_chance(const uint32_t *settings, const uint8_t *const *inputs, size_t n, uint8_t *out);
void mth_steps_f16_chance(const uint8_t *const *inputs, const uint8_t *elems, size_t n, uint8_t *out);
void mth_restore_f16_chance(const uint8_t *const *inputs, const uint8_t *steps, size_t n, uint8_t *out);

#endif
