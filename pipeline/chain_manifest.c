/* The manifest of a chain: lines of words, closed by a checksum; the format is told in docs/chain.md. */
#include "pipeline/chain.h"

#include "base/checked.h"
#include "base/hash.h"

#include <float.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Folders came with version 2, older bases with version 3; a chain without either is of version 1 still. */
enum {
    VERSION_OF_FILES = 1,
    VERSION_OF_FOLDERS = 2,
    VERSION = 3,
    MAX_NUMBER_DIGITS = 20,
    HASH_DIGITS = 16,
    LINE_BYTES = 512,
    CLOSE_BYTES = 64
};

/* No file is larger, and sums of sizes then do not overflow in chains that fit in memory. */
static const uint64_t max_file_bytes = UINT64_C(1) << 56;

struct reader {
    const char *name;
    const char *at, *end; /* of what the checksum covers */
    size_t line;
};

static int wrong(const struct reader *reader, const char *what, struct mth_error *err)
{
    return mth_error_set(err, MTH_ERR_FORMAT, "%s: line %zu: %s", reader->name, reader->line, what);
}

/* ---- words ---- */

static bool take_text(struct reader *reader, const char *text)
{
    size_t n = strlen(text);
    if ((size_t)(reader->end - reader->at) < n || memcmp(reader->at, text, n) != 0)
        return false;
    reader->at += n;
    return true;
}

static bool take_number(struct reader *reader, uint64_t *out)
{
    uint64_t value = 0;
    const char *begin = reader->at;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9') {
        if (!mth_u64_mul(value, 10, &value) || !mth_u64_add(value, (uint64_t)(*reader->at - '0'), &value))
            return false;
        reader->at++;
    }
    *out = value;
    return reader->at > begin && (*begin != '0' || reader->at == begin + 1);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_hex(struct reader *reader, uint8_t *out, size_t n)
{
    if ((size_t)(reader->end - reader->at) < 2 * n)
        return false;
    for (size_t i = 0; i < n; i++, reader->at += 2) {
        int high = hex_digit(reader->at[0]), low = hex_digit(reader->at[1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* What is left of the line, which is then behind. */
static struct mth_bytes take_line(struct reader *reader)
{
    const char *begin = reader->at;
    const char *newline = memchr(begin, '\n', (size_t)(reader->end - begin));
    const char *end = newline ? newline : reader->end;
    reader->at = newline ? newline + 1 : reader->end;
    reader->line++;
    return (struct mth_bytes){(const uint8_t *)begin, (size_t)(end - begin)};
}

/* A name, in which what is not printable ASCII, and '%', stand as %XX. */
static bool take_name(struct reader *reader, char out[MTH_CHAIN_NAME_BYTES])
{
    struct mth_bytes line = take_line(reader);
    size_t n = 0;
    for (size_t i = 0; i < line.n_bytes; i++) {
        char c = (char)line.data[i];
        if (c == '%') {
            int high = i + 2 < line.n_bytes ? hex_digit((char)line.data[i + 1]) : -1;
            int low = high >= 0 ? hex_digit((char)line.data[i + 2]) : -1;
            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c < 0x20 || c >= 0x7f) {
            return false;
        }
        if (c == '\0' || c == '/' || n + 1 >= MTH_CHAIN_NAME_BYTES)
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return n > 0 && strcmp(out, ".") != 0 && strcmp(out, "..") != 0;
}

static double double_of(const uint8_t bytes[8])
{
    uint64_t bits = 0;
    double value;
    for (size_t i = 0; i < 8; i++)
        bits = bits << 8 | bytes[i];
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* What only a lossy step has; "name" follows. */
static bool take_loss(struct reader *reader, struct mth_chain_step *step)
{
    uint8_t errors[3][8];
    struct mth_loss *loss = &step->loss;
    loss->is_lossy = take_text(reader, "lossy ");
    if (!loss->is_lossy)
        return true;
    if (!take_hex(reader, step->given_xxh3, sizeof step->given_xxh3) || !take_text(reader, " elems ") ||
        !take_number(reader, &loss->n_elems) || !take_text(reader, " rows ") ||
        !take_number(reader, &loss->n_rows) || !take_text(reader, " errors"))
        return false;
    for (size_t i = 0; i < 3; i++) {
        if (!take_text(reader, " ") || !take_hex(reader, errors[i], sizeof errors[i]) ||
            !(double_of(errors[i]) >= 0 && double_of(errors[i]) <= DBL_MAX))
            return false;
    }
    loss->sum_abs = double_of(errors[0]);
    loss->max_abs = double_of(errors[1]);
    loss->sum_l2 = double_of(errors[2]);
    return take_text(reader, " ");
}

static bool take_dtype(struct reader *reader, enum mth_dtype *dtype)
{
    *dtype = MTH_N_DTYPES;
    if (take_text(reader, "- "))
        return true;
    const char *space = memchr(reader->at, ' ', (size_t)(reader->end - reader->at));
    if (!space)
        return false;
    *dtype = mth_dtype_find(reader->at, (size_t)(space - reader->at));
    reader->at = space + 1;
    return *dtype != MTH_N_DTYPES;
}

/* What stands before the name says whether it is that of a file. */
static bool take_kind(struct reader *reader, uint64_t version, struct mth_chain_step *step)
{
    step->is_folder = version > VERSION_OF_FILES && take_text(reader, "folder ");
    return step->is_folder || take_text(reader, "name ");
}

/* ---- reading ---- */

/* older: a number that only a step with an older base has. */
static bool take_step(struct reader *reader, uint64_t version, struct mth_chain_step *step, uint64_t *older)
{
    bool right = take_number(reader, &step->number) && take_text(reader, " base ");
    step->has_base = right && !take_text(reader, "-");
    if (step->has_base)
        right = take_number(reader, &step->base);
    step->has_older = right && step->has_base && version > VERSION_OF_FOLDERS && take_text(reader, " older ");
    if (step->has_older)
        right = take_number(reader, older);
    return right && take_text(reader, " raw ") && take_number(reader, &step->raw_bytes) &&
           take_text(reader, " stored ") && take_number(reader, &step->stored_bytes) &&
           take_text(reader, " digest ") && take_hex(reader, step->digest, sizeof step->digest) &&
           take_text(reader, " xxh3 ") && take_hex(reader, step->xxh3, sizeof step->xxh3) &&
           take_text(reader, " written ") && take_number(reader, &step->writing) &&
           take_text(reader, " dtype ") && take_dtype(reader, &step->dtype) && take_loss(reader, step) &&
           take_kind(reader, version, step) && take_name(reader, step->name);
}

/* Steps ascend and stand on earlier ones: no chain of theirs is a circle. */
static int read_step(struct reader *reader, uint64_t version, struct mth_chain *chain, struct mth_error *err)
{
    struct mth_chain_step step = {0};
    struct reader at = *reader;
    uint64_t older = 0;
    if (!take_step(reader, version, &step, &older))
        return wrong(&at, "is no step", err);
    if (chain->n_steps && step.number <= chain->steps[chain->n_steps - 1].number)
        return wrong(&at, "the steps do not ascend", err);
    if (step.has_base && mth_chain_find(chain, step.base) == chain->n_steps)
        return wrong(&at, "its base is no earlier step of the chain", err);
    size_t below = step.has_older ? mth_chain_base_of(chain, mth_chain_find(chain, step.base)) : 0;
    if (step.has_older && (below == chain->n_steps || chain->steps[below].number != older))
        return wrong(&at, "its older base is not that of its base", err);
    if (step.raw_bytes > max_file_bytes || step.stored_bytes > max_file_bytes || step.writing == 0)
        return wrong(&at, "a number is out of range", err);
    return mth_chain_put(chain, &step, err);
}

static int read_head(struct reader *reader, uint64_t *version, struct mth_chain *chain, struct mth_error *err)
{
    char policy[MTH_CHAIN_POLICY_BYTES];
    struct mth_error inner;
    if (!take_text(reader, "mithril-chain ") || !take_number(reader, version) || !take_text(reader, "\n"))
        return mth_error_set(err, MTH_ERR_FORMAT, "%s: is not the manifest of a chain", reader->name);
    if (*version < VERSION_OF_FILES || *version > VERSION)
        return mth_error_set(err, MTH_ERR_UNSUPPORTED,
                             "%s: is of version %" PRIu64 ", this program knows version %d", reader->name,
                             *version, VERSION);
    reader->line++;
    if (!take_text(reader, "policy "))
        return wrong(reader, "there is no policy", err);
    struct mth_bytes line = take_line(reader);
    if (line.n_bytes >= sizeof policy)
        return wrong(reader, "there is no such policy", err);
    memcpy(policy, line.data, line.n_bytes);
    policy[line.n_bytes] = '\0';
    if (mth_chain_policy_parse(policy, &chain->policy, &inner))
        return wrong(reader, inner.text, err);
    if (!take_text(reader, "spec "))
        return wrong(reader, "there is no spec", err);
    line = take_line(reader);
    if (line.n_bytes == 0 || memchr(line.data, '\0', line.n_bytes))
        return wrong(reader, "there is no spec", err);
    return mth_chain_set_spec(chain, (const char *)line.data, line.n_bytes, err);
}

/* The last line, "end HASH": where it begins, and whether all before it is as it was written. */
static int check_close(const char *name, struct mth_bytes text, struct reader *reader, struct mth_error *err)
{
    static const char close[] = "end ";
    size_t n_close = sizeof close - 1 + HASH_DIGITS + 1;
    uint8_t hash[HASH_DIGITS / 2];
    *reader = (struct reader){.name = name, .line = 1};
    if (text.n_bytes < n_close || text.data[text.n_bytes - 1] != '\n')
        return mth_error_set(err, MTH_ERR_TRUNCATED, "%s: its last line is missing", name);
    const char *begin = (const char *)text.data + text.n_bytes - n_close;
    reader->at = begin;
    reader->end = begin + n_close;
    if (!take_text(reader, close) || !take_hex(reader, hash, sizeof hash))
        return mth_error_set(err, MTH_ERR_TRUNCATED, "%s: its last line is missing", name);
    uint64_t noted = 0;
    for (size_t i = 0; i < sizeof hash; i++)
        noted = noted << 8 | hash[i];
    if (!mth_hash64_matches(text.data, text.n_bytes - n_close, 0, noted))
        return mth_error_set(err, MTH_ERR_CHECKSUM, "%s: is damaged: its checksum differs", name);
    reader->at = (const char *)text.data;
    reader->end = begin;
    return MTH_OK;
}

int mth_chain_manifest_parse(const char *name, struct mth_bytes text, struct mth_chain *chain,
                             struct mth_error *err)
{
    struct reader reader;
    uint64_t version;
    int status = check_close(name, text, &reader, err);
    if (!status)
        status = read_head(&reader, &version, chain, err);
    while (!status && reader.at < reader.end) {
        if (!take_text(&reader, "step "))
            status = wrong(&reader, "is no step", err);
        else
            status = read_step(&reader, version, chain, err);
    }
    chain->stamp = mth_hash64(text.data, text.n_bytes, 0);
    return status;
}

/* ---- writing ---- */

static size_t put_name(const char *name, char *out)
{
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)name; *p; p++) {
        if (*p > 0x20 && *p < 0x7f && *p != '%')
            out[n++] = (char)*p;
        else
            n += (size_t)snprintf(out + n, 4, "%%%02x", *p);
    }
    return n;
}

static size_t put_loss(const struct mth_chain_step *step, char *out)
{
    const double errors[] = {step->loss.sum_abs, step->loss.max_abs, step->loss.sum_l2};
    struct mth_digest given;
    char hex[MTH_DIGEST_HEX_BYTES];
    if (!step->loss.is_lossy)
        return 0;
    memcpy(given.bytes, step->given_xxh3, sizeof given.bytes);
    mth_digest_hex(&given, hex);
    size_t n = (size_t)snprintf(out, LINE_BYTES, "lossy %s elems %" PRIu64 " rows %" PRIu64 " errors", hex,
                                step->loss.n_elems, step->loss.n_rows);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        uint64_t bits;
        memcpy(&bits, &errors[i], sizeof bits);
        n += (size_t)snprintf(out + n, LINE_BYTES, " %016" PRIx64, bits);
    }
    out[n++] = ' ';
    return n;
}

static size_t put_step(const struct mth_chain *chain, size_t index, char *out)
{
    const struct mth_chain_step *step = &chain->steps[index];
    struct mth_digest digest, xxh3;
    char hex[2][MTH_DIGEST_HEX_BYTES], base[2 * MAX_NUMBER_DIGITS + 16] = "-";
    memcpy(digest.bytes, step->digest, sizeof digest.bytes);
    memcpy(xxh3.bytes, step->xxh3, sizeof xxh3.bytes);
    mth_digest_hex(&digest, hex[0]);
    mth_digest_hex(&xxh3, hex[1]);
    if (step->has_base)
        snprintf(base, sizeof base, "%" PRIu64, step->base);
    if (step->has_older)
        snprintf(base, sizeof base, "%" PRIu64 " older %" PRIu64, step->base,
                 chain->steps[mth_chain_find(chain, step->base)].base);
    size_t n = (size_t)snprintf(out, LINE_BYTES,
                                "step %" PRIu64 " base %s raw %" PRIu64 " stored %" PRIu64
                                " digest %s xxh3 %s written %" PRIu64 " dtype %s ",
                                step->number, base, step->raw_bytes, step->stored_bytes, hex[0], hex[1],
                                step->writing,
                                step->dtype == MTH_N_DTYPES ? "-" : mth_dtype_info(step->dtype)->name);
    n += put_loss(step, out + n);
    n += (size_t)snprintf(out + n, LINE_BYTES, "%s ", step->is_folder ? "folder" : "name");
    n += put_name(step->name, out + n);
    out[n++] = '\n';
    return n;
}

int mth_chain_manifest_write(const struct mth_chain *chain, struct mth_buffer *text, struct mth_error *err)
{
    /* Names at their longest are %XX throughout. */
    size_t n_line = 2 * LINE_BYTES + 3 * MTH_CHAIN_NAME_BYTES, capacity = 0;
    size_t n_head = strlen(chain->spec) + LINE_BYTES;
    char policy[MTH_CHAIN_POLICY_BYTES];
    *text = (struct mth_buffer){0};
    if (mth_size_mul(chain->n_steps, n_line, &capacity) &&
        mth_size_add(capacity, n_head + CLOSE_BYTES, &capacity))
        text->data = mth_memory_alloc(chain->memory, capacity);
    if (!text->data)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the manifest of a chain");
    char *out = (char *)text->data;
    int version = VERSION_OF_FILES;
    for (size_t i = 0; i < chain->n_steps; i++) {
        if (chain->steps[i].has_older)
            version = VERSION;
        else if (chain->steps[i].is_folder && version < VERSION_OF_FOLDERS)
            version = VERSION_OF_FOLDERS;
    }
    size_t n = (size_t)snprintf(out, capacity, "mithril-chain %d\npolicy %s\nspec %s\n", version,
                                mth_chain_policy_text(&chain->policy, policy), chain->spec);
    for (size_t i = 0; i < chain->n_steps; i++)
        n += put_step(chain, i, out + n);
    n += (size_t)snprintf(out + n, CLOSE_BYTES, "end %016" PRIx64 "\n", mth_hash64(out, n, 0));
    text->n_bytes = n;
    text->capacity_bytes = capacity;
    return MTH_OK;
}
