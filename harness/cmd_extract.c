/* `mithril extract`: tensors of a checkpoint or of a container, whole or in part, as a safetensors file. */
#include "harness/command.h"

#include "base/checked.h"
#include "base/pool.h"
#include "harness/base_files.h"
#include "harness/json_writer.h"
#include "harness/opened.h"
#include "harness/output.h"
#include "harness/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADER_ALIGN = 8,
    PIECE_BYTES = 1 << 20,
    LONG_RUN_BYTES = 1 << 16,
    /* Where elements do not lie side by side, each piece may read all of the tensor: few pieces, then. */
    STRIDED_PIECE_BYTES = 64 << 20
};

/* A tensor, or the rows of it, that were asked for. */
struct wanted {
    const struct mth_tensor *tensor;
    uint64_t first_elem;
    uint64_t n_elems;
    uint64_t n_bytes;
    uint64_t n_rows; /* in place of the first dimension */
};

struct extraction {
    const struct mth_options *options;
    struct mth_opened *opened;
    struct mth_memory *memory;
    struct wanted *wanted;
    size_t n_wanted;
};

static void put_entry(struct mth_json_writer *w, const struct mth_region_map *map,
                      const struct wanted *wanted, uint64_t offset)
{
    const struct mth_tensor *tensor = wanted->tensor;
    mth_json_begin_object(w, mth_tensor_name(map, tensor));
    mth_json_string(w, "dtype", mth_dtype_info((enum mth_dtype)tensor->dtype)->name);
    mth_json_begin_array(w, "shape");
    for (size_t i = 0; i < tensor->n_dims; i++)
        mth_json_uint(w, NULL, i == 0 ? wanted->n_rows : mth_tensor_shape(map, tensor)[i]);
    mth_json_end(w);
    mth_json_begin_array(w, "data_offsets");
    mth_json_uint(w, NULL, offset);
    mth_json_uint(w, NULL, offset + wanted->n_bytes);
    mth_json_end(w);
    mth_json_end(w);
}

/* {"NAME":{"dtype":"BF16","shape":[..],"data_offsets":[0,n]}}, padded with spaces, its length before it. */
static int put_header(const struct extraction *job, struct mth_sink *sink, struct mth_error *err)
{
    static const char spaces[HEADER_ALIGN] = "        ";
    struct mth_json_writer w;
    const char *text;
    size_t n_text;
    uint8_t length[8];
    uint64_t offset = 0;
    mth_json_writer_init(&w);
    mth_json_begin_object(&w, NULL);
    for (size_t i = 0; i < job->n_wanted; i++) {
        put_entry(&w, &job->opened->map, &job->wanted[i], offset);
        offset += job->wanted[i].n_bytes;
    }
    mth_json_end(&w);
    int status = mth_json_writer_text(&w, &text, &n_text);
    if (status) {
        mth_json_writer_free(&w);
        return mth_error_set(err, status, "no memory for the header");
    }
    size_t n_padding = (HEADER_ALIGN - n_text % HEADER_ALIGN) % HEADER_ALIGN;
    mth_store64(length, n_text + n_padding);
    status = mth_sink_put(sink, length, sizeof length, err);
    if (!status)
        status = mth_sink_put(sink, text, n_text, err);
    if (!status)
        status = mth_sink_put(sink, spaces, n_padding, err);
    mth_json_writer_free(&w);
    return status;
}

/* Flips the sign of every lane, or of every other: the imaginary parts. */
static void negate(uint8_t *bytes, size_t n_bytes, size_t lane_bytes, size_t first, size_t step)
{
    for (size_t at = first * lane_bytes; at < n_bytes; at += step * lane_bytes)
        bytes[at + lane_bytes - 1] ^= 0x80;
}

/* PyTorch notes a conjugate or a negative with a bit; what is written has the values. */
static void resolve(const struct mth_tensor *tensor, uint8_t *bytes, size_t n_bytes)
{
    size_t lane_bytes = mth_dtype_lane_bytes((enum mth_dtype)tensor->dtype);
    if (tensor->flags & MTH_TENSOR_NEGATED)
        negate(bytes, n_bytes, lane_bytes, 0, 1);
    if (tensor->flags & MTH_TENSOR_CONJUGATED)
        negate(bytes, n_bytes, lane_bytes, 1, 2);
}

static int put_elements(const struct extraction *job, const struct wanted *wanted, struct mth_sink *sink,
                        struct mth_error *err)
{
    const struct mth_region_map *map = &job->opened->map;
    const struct mth_tensor *tensor = wanted->tensor;
    bool runs_are_long =
        !(tensor->flags & MTH_TENSOR_STRIDED) || mth_tensor_run_bytes(map, tensor) >= LONG_RUN_BYTES;
    /* A multiple of eight elements of any type. */
    uint64_t limit = (runs_are_long ? PIECE_BYTES : STRIDED_PIECE_BYTES) / 64 * 8;
    uint64_t n_piece = wanted->n_elems < limit ? wanted->n_elems : limit;
    if (wanted->n_elems == 0)
        return MTH_OK;
    size_t n_piece_bytes = (size_t)(wanted->n_bytes < 8 * limit ? wanted->n_bytes : 8 * limit);
    uint8_t *piece = mth_memory_alloc(job->memory, n_piece_bytes);
    if (!piece)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for %zu bytes of a tensor", n_piece_bytes);
    int status = MTH_OK;
    for (uint64_t done = 0; !status && done < wanted->n_elems; done += n_piece) {
        uint64_t n = wanted->n_elems - done < n_piece ? wanted->n_elems - done : n_piece;
        unsigned bits = mth_dtype_info((enum mth_dtype)tensor->dtype)->bits;
        size_t n_bytes = (size_t)(n / 8 * bits + n % 8 * bits / 8);
        if (mth_output_interrupted())
            status = mth_error_set(err, MTH_ERR_CANCELLED, "interrupted, nothing was written");
        else
            status =
                mth_tensor_read(&job->opened->source, map, tensor, wanted->first_elem + done, n, piece, err);
        if (status)
            break;
        resolve(tensor, piece, n_bytes);
        status = mth_sink_put(sink, piece, n_bytes, err);
    }
    mth_memory_free(job->memory, piece);
    return status;
}

static int choose(const struct extraction *job, const char *name, struct wanted *wanted,
                  struct mth_error *err)
{
    const struct mth_region_map *map = &job->opened->map;
    const struct mth_tensor *tensor = mth_region_map_find(map, name);
    char label[MTH_TEXT_BYTES];
    if (!tensor)
        return mth_error_set(err, MTH_ERR_USAGE, "%s: has no tensor '%s'; `mithril info` lists them",
                             job->opened->path, mth_text_name(name, 60, label));
    *wanted =
        (struct wanted){.tensor = tensor, .n_elems = tensor->n_elems, .n_bytes = mth_tensor_bytes(tensor)};
    wanted->n_rows = tensor->n_dims ? mth_tensor_shape(map, tensor)[0] : 1;
    if (!job->options->has_rows)
        return MTH_OK;
    uint64_t begin = job->options->rows_begin, end = job->options->rows_end;
    uint64_t n_row = wanted->n_rows ? tensor->n_elems / wanted->n_rows : 0;
    unsigned bits = mth_dtype_info((enum mth_dtype)tensor->dtype)->bits;
    end = end == UINT64_MAX ? wanted->n_rows : end;
    if (tensor->n_dims == 0 || begin > end || end > wanted->n_rows)
        return mth_error_set(err, MTH_ERR_USAGE, "%s: '%s' has %llu rows, not those of --rows",
                             job->opened->path, mth_text_name(name, 60, label),
                             (unsigned long long)(tensor->n_dims ? wanted->n_rows : 0));
    if (n_row * bits % 8 != 0)
        return mth_error_set(err, MTH_ERR_UNSUPPORTED, "%s: the rows of '%s' do not end where bytes do",
                             job->opened->path, mth_text_name(name, 60, label));
    wanted->first_elem = begin * n_row;
    wanted->n_elems = (end - begin) * n_row;
    wanted->n_bytes = wanted->n_elems / 8 * bits + wanted->n_elems % 8 * bits / 8;
    wanted->n_rows = end - begin;
    return MTH_OK;
}

static int choose_all(struct extraction *job, struct mth_error *err)
{
    const struct mth_words *names = &job->options->names;
    uint64_t total = 0;
    job->wanted = calloc(names->n_items, sizeof *job->wanted);
    if (!job->wanted)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    for (size_t i = 0; i < names->n_items; i++) {
        for (size_t j = 0; j < i; j++)
            if (strcmp(names->items[i], names->items[j]) == 0)
                return mth_error_set(err, MTH_ERR_USAGE, "-n %s is given twice", names->items[i]);
        int status = choose(job, names->items[i], &job->wanted[i], err);
        if (status)
            return status;
        /* Views on one storage may be more than the file. */
        if (!mth_u64_add(total, job->wanted[i].n_bytes, &total))
            return mth_error_set(err, MTH_ERR_OVERFLOW, "the tensors do not fit one file");
        job->n_wanted++;
    }
    return MTH_OK;
}

static void tell(const struct extraction *job)
{
    char label[MTH_TEXT_BYTES];
    FILE *out = strcmp(job->options->output, "-") == 0 ? stderr : stdout;
    for (size_t i = 0; !job->options->quiet && i < job->n_wanted; i++) {
        const struct wanted *wanted = &job->wanted[i];
        fprintf(out, "%s: %s, %llu bytes\n",
                mth_text_name(mth_tensor_name(&job->opened->map, wanted->tensor), 60, label),
                mth_dtype_info((enum mth_dtype)wanted->tensor->dtype)->name,
                (unsigned long long)wanted->n_bytes);
    }
}

static int extract(struct extraction *job, struct mth_error *err)
{
    const char *inputs[] = {job->opened->path, job->options->base};
    struct mth_output output;
    int status = choose_all(job, err);
    if (!status)
        status = mth_output_check(job->options->output, job->options->force, inputs, 2, err);
    if (!status)
        status = mth_output_open(job->options->output, &output, err);
    if (status)
        return status;
    status = put_header(job, &output.sink, err);
    for (size_t i = 0; !status && i < job->n_wanted; i++)
        status = put_elements(job, &job->wanted[i], &output.sink, err);
    status = mth_output_close(&output, status, NULL, err);
    if (!status)
        tell(job);
    return status;
}

static int open_and_extract(struct extraction *job, struct mth_base_files *bases, struct mth_error *err)
{
    const struct mth_options *options = job->options;
    struct mth_opened *opened = job->opened;
    size_t n_threads = options->threads ? options->threads : 1;
    if (!options->name || !options->output)
        return mth_error_set(err, MTH_ERR_USAGE, "extract needs -n TENSOR and -o FILE");
    if (options->has_rows && options->names.n_items > 1)
        return mth_error_set(err, MTH_ERR_USAGE, "--rows is for one tensor, -n names %zu",
                             options->names.n_items);
    int status = mth_base_files_open(bases, options, n_threads, job->memory, err);
    if (!status)
        status = mth_opened_open_any(opened, options->operands.items[0], n_threads, job->memory, err);
    /* Without its base a container still gives what was not coded against it. */
    if (!status)
        status = mth_base_files_give(bases, opened, err);
    if (!status)
        status = mth_opened_map(opened, options->dtype, err);
    return status ? status : extract(job, err);
}

int mth_cmd_extract(int argc, char **argv)
{
    static const struct mth_command_line line = {
        .usage = "extract FILE|INDEX|DIRECTORY -n TENSOR... -o OUT.safetensors [OPTION...]",
        .summary =
            "Writes tensors of a checkpoint or of a container as a safetensors file, one after the other, "
            "little-endian;\n"
            "of a container only what covers them is read and restored.",
        .takes = MTH_TAKES_CHAIN | MTH_TAKES_THREADS | MTH_TAKES_OUTPUT | MTH_TAKES_FORCE | MTH_TAKES_NAMES |
                 MTH_TAKES_DTYPE | MTH_TAKES_EXTENSIONS | MTH_TAKES_QUIET,
        .min_operands = 1,
        .max_operands = 1,
    };
    struct mth_options options;
    struct mth_opened opened = {0};
    struct mth_base_files bases = {0};
    struct mth_error err = {0};
    int exit_code;
    if (!mth_options_parse(&line, argc, argv, &options, &exit_code))
        return exit_code;
    struct extraction job = {.options = &options, .opened = &opened, .memory = mth_memory_create(0)};
    int status = job.memory ? open_and_extract(&job, &bases, &err)
                            : mth_error_set(&err, MTH_ERR_NO_MEMORY, "no memory");
    free(job.wanted);
    mth_opened_close(&opened);
    mth_base_files_close(&bases);
    mth_memory_destroy(job.memory);
    mth_options_free(&options);
    return status ? mth_command_fail(&err) : MTH_EXIT_OK;
}
