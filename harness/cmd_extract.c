/* `mithril extract`: one tensor of a checkpoint or of a container, as a safetensors file. */
#include "harness/command.h"

#include "base/checked.h"
#include "base/pool.h"
#include "harness/json_writer.h"
#include "harness/opened.h"
#include "harness/output.h"
#include "harness/text.h"

#include <stdio.h>
#include <string.h>

enum { PIECE_BYTES = 1 << 20, HEADER_ALIGN = 8 };

/* {"NAME":{"dtype":"BF16","shape":[..],"data_offsets":[0,n]}}, padded with spaces, its length before it. */
static int put_header(struct mth_sink *sink, const struct mth_region_map *map,
                      const struct mth_tensor *tensor, struct mth_error *err)
{
    static const char spaces[HEADER_ALIGN] = "        ";
    struct mth_json_writer w;
    const char *text;
    size_t n_text;
    uint8_t length[8];
    mth_json_writer_init(&w);
    mth_json_begin_object(&w, NULL);
    mth_json_begin_object(&w, mth_tensor_name(map, tensor));
    mth_json_string(&w, "dtype", mth_dtype_info((enum mth_dtype)tensor->dtype)->name);
    mth_json_begin_array(&w, "shape");
    for (size_t i = 0; i < tensor->n_dims; i++)
        mth_json_uint(&w, NULL, mth_tensor_shape(map, tensor)[i]);
    mth_json_end(&w);
    mth_json_begin_array(&w, "data_offsets");
    mth_json_uint(&w, NULL, 0);
    mth_json_uint(&w, NULL, mth_tensor_bytes(tensor));
    mth_json_end(&w);
    mth_json_end(&w);
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

static void swap_bytes(uint8_t *bytes, size_t n_bytes, size_t width)
{
    for (size_t at = 0; at + width <= n_bytes; at += width) {
        for (size_t i = 0; i < width / 2; i++) {
            uint8_t low = bytes[at + i];
            bytes[at + i] = bytes[at + width - 1 - i];
            bytes[at + width - 1 - i] = low;
        }
    }
}

/* Reads runs of neighbouring elements, be they the whole tensor or, where it has strides, one element. */
static int put_elements(struct mth_sink *sink, const struct mth_opened *opened,
                        const struct mth_tensor *tensor, struct mth_error *err)
{
    const struct mth_region *region = &opened->map.regions[tensor->region];
    const uint64_t *shape = mth_tensor_shape(&opened->map, tensor);
    const uint64_t *strides = mth_tensor_strides(&opened->map, tensor);
    const struct mth_dtype_info *info = mth_dtype_info((enum mth_dtype)tensor->dtype);
    size_t width = region->flags & MTH_REGION_BIG_ENDIAN ? info->lane_bits / 8 : 1;
    uint64_t index[MTH_MAX_DIMS] = {0}, at = region->offset + tensor->offset_bytes;
    uint64_t left = mth_tensor_bytes(tensor), run = strides ? info->bits / 8 : left;
    static uint8_t piece[PIECE_BYTES];
    size_t n_filled = 0;
    int status = MTH_OK;
    while (!status && left > 0) {
        uint64_t place = at;
        for (size_t d = 0; strides && d < tensor->n_dims; d++)
            place += index[d] * strides[d] * (info->bits / 8);
        size_t n = mth_size_min(PIECE_BYTES - n_filled, (size_t)(run < PIECE_BYTES ? run : PIECE_BYTES));
        status = mth_source_read(&opened->source, place, piece + n_filled, n, err);
        n_filled += n;
        left -= n;
        if (!strides)
            at += n;
        for (size_t d = tensor->n_dims; strides && d-- > 0;) {
            if (++index[d] < shape[d])
                break;
            index[d] = 0;
        }
        if (!strides && run > left)
            run = left;
        if (!status && (left == 0 || n_filled + (strides ? run : 1) > PIECE_BYTES)) {
            if (width > 1)
                swap_bytes(piece, n_filled, width);
            status = mth_sink_put(sink, piece, n_filled, err);
            n_filled = 0;
        }
    }
    return status;
}

static int extract(const struct mth_options *options, const struct mth_opened *opened, struct mth_error *err)
{
    const char *inputs[] = {opened->path, options->base};
    char label[MTH_TEXT_BYTES];
    struct mth_output output;
    const struct mth_tensor *tensor = mth_region_map_find(&opened->map, options->name);
    if (!tensor)
        return mth_error_set(err, MTH_ERR_USAGE, "%s: has no tensor '%s'; `mithril info` lists them",
                             opened->path, mth_text_name(options->name, 60, label));
    if (tensor->flags & (MTH_TENSOR_CONJUGATED | MTH_TENSOR_NEGATED))
        return mth_error_set(err, MTH_ERR_UNSUPPORTED,
                             "%s: '%s' is stored as the conjugate or negative of its value", opened->path,
                             mth_text_name(options->name, 60, label));
    int status = mth_output_check(options->output, options->force, inputs, 2, err);
    if (!status)
        status = mth_output_open(options->output, &output, err);
    if (status)
        return status;
    status = put_header(&output.sink, &opened->map, tensor, err);
    if (!status && tensor->region != MTH_NO_REGION)
        status = put_elements(&output.sink, opened, tensor, err);
    status = mth_output_close(&output, status, NULL, err);
    if (!status && !options->quiet)
        fprintf(strcmp(options->output, "-") == 0 ? stderr : stdout, "%s: %s, %llu bytes\n",
                mth_text_name(options->name, 60, label), mth_dtype_info((enum mth_dtype)tensor->dtype)->name,
                (unsigned long long)mth_tensor_bytes(tensor));
    return status;
}

static int open_and_extract(const struct mth_options *options, struct mth_memory *memory,
                            struct mth_opened *opened, struct mth_opened_chain *chain, struct mth_error *err)
{
    struct mth_container_info info = {0};
    size_t n_threads = options->threads ? options->threads : 1;
    if (!options->name || !options->output)
        return mth_error_set(err, MTH_ERR_USAGE, "extract needs -n TENSOR and -o FILE");
    int status = mth_opened_chain_open(chain, options, n_threads, memory, err);
    if (!status)
        status = mth_opened_open(opened, options->operands.items[0], n_threads, memory, err);
    if (!status && opened->container)
        mth_container_describe(opened->container, &info);
    if (!status && info.has_base) {
        status = chain->links
                     ? mth_container_set_base(opened->container, &chain->links[0].base, err)
                     : mth_error_set(err, MTH_ERR_BASE, "was coded against a base; -b FILE names it");
        if (status)
            mth_opened_blame(opened->path, err);
    }
    if (!status)
        status = mth_opened_map(opened, options->dtype, err);
    return status ? status : extract(options, opened, err);
}

int mth_cmd_extract(int argc, char **argv)
{
    static const struct mth_command_line line = {
        .usage = "extract FILE -n TENSOR -o OUT.safetensors [OPTION...]",
        .summary = "Writes one tensor of a checkpoint or of a container as a safetensors file; of a "
                   "container only what\n"
                   "covers that tensor is read and restored.",
        .takes = MTH_TAKES_CHAIN | MTH_TAKES_THREADS | MTH_TAKES_OUTPUT | MTH_TAKES_FORCE | MTH_TAKES_NAME |
                 MTH_TAKES_DTYPE | MTH_TAKES_EXTENSIONS | MTH_TAKES_QUIET,
        .min_operands = 1,
        .max_operands = 1,
    };
    struct mth_options options;
    struct mth_opened opened = {0};
    struct mth_opened_chain chain = {0};
    struct mth_error err = {0};
    int exit_code;
    if (!mth_options_parse(&line, argc, argv, &options, &exit_code))
        return exit_code;
    struct mth_memory *memory = mth_memory_create(0);
    int status = memory ? open_and_extract(&options, memory, &opened, &chain, &err)
                        : mth_error_set(&err, MTH_ERR_NO_MEMORY, "no memory");
    mth_opened_close(&opened);
    mth_opened_chain_close(&chain);
    mth_memory_destroy(memory);
    mth_options_free(&options);
    return status ? mth_command_fail(&err) : MTH_EXIT_OK;
}
