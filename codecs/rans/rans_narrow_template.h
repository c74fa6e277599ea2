/*
 * The narrow mode over vectors of bytes: one source for every instruction set; see rans_narrow.h for the contracts and
 * docs/kernels.md for how it works.
 *
 * A file that includes this has defined RANS_NAME (of the kernels), RANS_NEEDS, RANS_TARGET (a function attribute), the type
 * vec of VEC_BYTES bytes, one for each of as many lanes, and:
 *
 *     v_load(p), v_store(p, v), v_add(a, b), v_sub(a, b)     of bytes, modulo 256
 *     v_fill(b)                                              every byte b
 *     v_lookup(table32, i, n)                                byte i of a table of n = 16 or 32 bytes, i < n
 *     v_symbols(table, slots, n_bounds)                      the symbol of each slot
 *     v_positions(table, bytes)                              the position of each byte
 *     v_multiply_add(f, h, r, &high, &low)                   f * h + r as planes
 *     v_refill(&high, &low, in)                              renormalise a decoder's states; returns the next in
 *     v_emit(freq, &high, &low, at)                          renormalise an encoder's states; returns the next at
 *     v_divide(high, low, f, rl, rh, &q, &r)                 quotients, below 256, and rests by f; reciprocals in rl, rh
 *     v_equal_bits(a, b)                                     bit i of the result: bytes i are equal
 *
 * v_refill may read VEC_BYTES bytes from in on, v_emit may write as many in front of at.
 */

#define RANS_INLINE static inline __attribute__((always_inline)) RANS_TARGET

/* Bounds as many as a table has, where a compiler may not know how many. */
enum { RANS_ANY_BOUNDS = -1 };

struct rans_states {
    vec high[MTH_RANS_MAX_LANES / VEC_BYTES], low[MTH_RANS_MAX_LANES / VEC_BYTES];
};

RANS_INLINE void load_states(const struct mth_rans_lanes *lanes, struct rans_states *states, size_t n_vecs)
{
    for (size_t v = 0; v < n_vecs; v++) {
        states->high[v] = v_load(lanes->high + v * VEC_BYTES);
        states->low[v] = v_load(lanes->low + v * VEC_BYTES);
    }
}

RANS_INLINE void store_states(struct mth_rans_lanes *lanes, const struct rans_states *states, size_t n_vecs)
{
    for (size_t v = 0; v < n_vecs; v++) {
        v_store(lanes->high + v * VEC_BYTES, states->high[v]);
        v_store(lanes->low + v * VEC_BYTES, states->low[v]);
    }
}

/* ---- decoding ---- */

RANS_INLINE const uint8_t *decode_vec(const struct mth_rans_narrow_table *table, vec *high, vec *low,
                                      const uint8_t *in, uint8_t *dst, int n_bounds, int n_symbols)
{
    vec slots = *low;
    vec symbols = v_symbols(table, slots, n_bounds == RANS_ANY_BOUNDS ? (int)table->n_bounds : n_bounds);
    vec freq = v_lookup(table->freq, symbols, n_symbols);
    vec rank = v_sub(slots, v_lookup(table->start, symbols, n_symbols));
    v_store(dst, v_lookup(table->value, symbols, n_symbols));
    v_multiply_add(freq, *high, rank, high, low);
    return v_refill(high, low, in);
}

RANS_INLINE size_t decode_steps(const struct mth_rans_narrow_table *table, struct mth_rans_reader *reader,
                                uint8_t *restrict dst, size_t n_steps, size_t n_vecs, int n_bounds,
                                int n_symbols)
{
    struct rans_states states;
    const uint8_t *in = reader->in, *end = reader->end;
    size_t done = 0, n_lanes = n_vecs * VEC_BYTES;
    load_states(&reader->lanes, &states, n_vecs);
    for (; done < n_steps && (size_t)(end - in) >= n_lanes; done++, dst += n_lanes) {
        for (size_t v = 0; v < n_vecs; v++)
            in = decode_vec(table, &states.high[v], &states.low[v], in, dst + v * VEC_BYTES, n_bounds,
                            n_symbols);
    }
    store_states(&reader->lanes, &states, n_vecs);
    reader->in = in;
    return done;
}

/* Two streams in turns: while one waits for its table, the other computes. */
RANS_INLINE size_t decode_pair_steps(const struct mth_rans_narrow_table *const tables[2],
                                     struct mth_rans_reader *const readers[2], uint8_t *const dst[2],
                                     size_t n_steps, size_t n_vecs, int n_bounds, int n_symbols)
{
    struct rans_states a, b;
    const struct mth_rans_narrow_table *table_a = tables[0], *table_b = tables[1];
    const uint8_t *in_a = readers[0]->in, *end_a = readers[0]->end, *in_b = readers[1]->in,
                  *end_b = readers[1]->end;
    uint8_t *restrict dst_a = dst[0], *restrict dst_b = dst[1];
    size_t done = 0, n_lanes = n_vecs * VEC_BYTES;
    load_states(&readers[0]->lanes, &a, n_vecs);
    load_states(&readers[1]->lanes, &b, n_vecs);
    for (; done < n_steps && (size_t)(end_a - in_a) >= n_lanes && (size_t)(end_b - in_b) >= n_lanes; done++) {
        for (size_t v = 0; v < n_vecs; v++) {
            in_a =
                decode_vec(table_a, &a.high[v], &a.low[v], in_a, dst_a + v * VEC_BYTES, n_bounds, n_symbols);
            in_b =
                decode_vec(table_b, &b.high[v], &b.low[v], in_b, dst_b + v * VEC_BYTES, n_bounds, n_symbols);
        }
        dst_a += n_lanes;
        dst_b += n_lanes;
    }
    store_states(&readers[0]->lanes, &a, n_vecs);
    store_states(&readers[1]->lanes, &b, n_vecs);
    readers[0]->in = in_a;
    readers[1]->in = in_b;
    return done;
}

/* Tables in use have two to four bounds in a cell, and mostly 16 symbols or fewer. */
#define RANS_FOR_TABLE(n_bounds, n_symbols, call)                             \
    do {                                                                      \
        if ((n_symbols) <= 16) {                                              \
            if ((n_bounds) <= 2)                                              \
                return call(2, 16);                                           \
            if ((n_bounds) == 3)                                              \
                return call(3, 16);                                           \
            return (n_bounds) == 4 ? call(4, 16) : call(RANS_ANY_BOUNDS, 16); \
        }                                                                     \
        return (n_bounds) <= 3 ? call(3, 32) : call(RANS_ANY_BOUNDS, 32);     \
    } while (0)

RANS_INLINE size_t decode_lanes(const struct mth_rans_narrow_table *table, struct mth_rans_reader *reader,
                                uint8_t *dst, size_t n_steps, size_t n_vecs)
{
#define RANS_CALL(n_bounds, n_symbols) decode_steps(table, reader, dst, n_steps, n_vecs, n_bounds, n_symbols)
    RANS_FOR_TABLE(table->n_bounds, table->n_symbols, RANS_CALL);
#undef RANS_CALL
}

RANS_INLINE size_t decode_pair_lanes(const struct mth_rans_narrow_table *const tables[2],
                                     struct mth_rans_reader *const readers[2], uint8_t *const dst[2],
                                     size_t n_steps, size_t n_vecs)
{
    uint32_t n_bounds = tables[0]->n_bounds > tables[1]->n_bounds ? tables[0]->n_bounds : tables[1]->n_bounds;
    uint32_t n_symbols =
        tables[0]->n_symbols > tables[1]->n_symbols ? tables[0]->n_symbols : tables[1]->n_symbols;
    /* More bounds than one of the tables has are there, and never passed. */
#define RANS_CALL(bounds, symbols)                           \
    decode_pair_steps(tables, readers, dst, n_steps, n_vecs, \
                      (bounds) == RANS_ANY_BOUNDS ? (int)n_bounds : (bounds), symbols)
    RANS_FOR_TABLE(n_bounds, n_symbols, RANS_CALL);
#undef RANS_CALL
}

RANS_TARGET static size_t decode(const struct mth_rans_narrow_table *table, struct mth_rans_reader *reader,
                                 uint8_t *dst, size_t n_steps)
{
#if VEC_BYTES <= 32
    if (reader->lanes.n_lanes == 32)
        return decode_lanes(table, reader, dst, n_steps, 32 / VEC_BYTES);
#else
    if (reader->lanes.n_lanes == 32)
        return RANS_32_LANES.decode(table, reader, dst, n_steps);
#endif
    return decode_lanes(table, reader, dst, n_steps, 64 / VEC_BYTES);
}

RANS_TARGET static size_t decode_pair(const struct mth_rans_narrow_table *const tables[2],
                                      struct mth_rans_reader *const readers[2], uint8_t *const dst[2],
                                      size_t n_steps)
{
#if VEC_BYTES <= 32
    if (readers[0]->lanes.n_lanes == 32)
        return decode_pair_lanes(tables, readers, dst, n_steps, 32 / VEC_BYTES);
#else
    if (readers[0]->lanes.n_lanes == 32)
        return RANS_32_LANES.decode_pair(tables, readers, dst, n_steps);
#endif
    return decode_pair_lanes(tables, readers, dst, n_steps, 64 / VEC_BYTES);
}

/* ---- encoding ---- */

RANS_INLINE uint8_t *encode_vec(const struct mth_rans_narrow_table *table, vec *high, vec *low, vec bytes,
                                uint8_t *at, int n_positions)
{
    vec positions = v_positions(table, bytes);
    vec freq = v_lookup(table->position_freq, positions, n_positions);
    vec start = v_lookup(table->position_start, positions, n_positions);
    vec reciprocal_low = v_lookup(table->position_reciprocal_low, positions, n_positions);
    vec reciprocal_high = v_lookup(table->position_reciprocal_high, positions, n_positions);
    vec rest;
    at = v_emit(freq, high, low, at);
    v_divide(*high, *low, freq, reciprocal_low, reciprocal_high, high, &rest);
    *low = v_add(start, rest);
    return at;
}

RANS_INLINE size_t encode_steps(const struct mth_rans_narrow_table *table, struct mth_rans_writer *writer,
                                const uint8_t *src_end, size_t n_steps, size_t n_vecs, int n_positions)
{
    struct rans_states states;
    uint8_t *at = writer->at, *begin = writer->begin;
    size_t done = 0, n_lanes = n_vecs * VEC_BYTES;
    load_states(&writer->lanes, &states, n_vecs);
    for (; done < n_steps && (size_t)(at - begin) >= n_lanes; done++) {
        src_end -= n_lanes;
        for (size_t v = n_vecs; v-- > 0;)
            at = encode_vec(table, &states.high[v], &states.low[v], v_load(src_end + v * VEC_BYTES), at,
                            n_positions);
    }
    store_states(&writer->lanes, &states, n_vecs);
    writer->at = at;
    return done;
}

RANS_TARGET static size_t encode(const struct mth_rans_narrow_table *table, struct mth_rans_writer *writer,
                                 const uint8_t *src_end, size_t n_steps)
{
    bool small = table->n_positions == 16;
    if (writer->lanes.n_lanes == 32) {
#if VEC_BYTES <= 32
        return small ? encode_steps(table, writer, src_end, n_steps, 32 / VEC_BYTES, 16)
                     : encode_steps(table, writer, src_end, n_steps, 32 / VEC_BYTES, 32);
#else
        return RANS_32_LANES.encode(table, writer, src_end, n_steps);
#endif
    }
    return small ? encode_steps(table, writer, src_end, n_steps, 64 / VEC_BYTES, 16)
                 : encode_steps(table, writer, src_end, n_steps, 64 / VEC_BYTES, 32);
}

/* A position whose entry is the escape's holds an escaped byte. */
RANS_TARGET static size_t escapes(const struct mth_rans_narrow_table *table, const uint8_t *src, size_t n,
                                  uint8_t *out, size_t n_out)
{
    size_t found = 0, i = 0;
    vec escape_start = v_fill(table->position_start[table->escape_position]);
    if (!table->escape_freq)
        return 0;
    for (; n - i >= VEC_BYTES; i += VEC_BYTES) {
        vec positions = v_positions(table, v_load(src + i));
        vec starts = v_lookup(table->position_start, positions, 32);
        for (uint64_t bits = v_equal_bits(starts, escape_start); bits; bits &= bits - 1) {
            if (found < n_out)
                out[n_out - 1 - found] = src[i + (size_t)__builtin_ctzll(bits)];
            found++;
        }
    }
    return found +
           mth_rans_narrow_portable.escapes(table, src + i, n - i, out, n_out > found ? n_out - found : 0);
}

const struct mth_rans_narrow_kernels RANS_NAME = {
    .name = RANS_TEXT,
    .needs = RANS_NEEDS,
    .decode = decode,
    .decode_pair = decode_pair,
    .encode = encode,
    .escapes = escapes,
};
