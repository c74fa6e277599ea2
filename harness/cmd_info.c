/* `mithril info`: what a checkpoint holds, how much entropy its streams have, and what a container was made with. */
#include "harness/command.h"

#include "harness/base_files.h"
#include "harness/directory.h"
#include "harness/info.h"
#include "harness/info_container.h"
#include "harness/opened.h"
#include "harness/options.h"
#include "harness/pairing.h"
#include "harness/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* "1.500x", or "none" where nothing is charged. */
static const char *print_ratio(double ratio, char out[16])
{
    if (isinf(ratio))
        snprintf(out, 16, "none");
    else
        snprintf(out, 16, ratio < 100 ? "%.3fx" : "%.1fx", ratio);
    return out;
}

/* Ends the line; eight planes get one of their own. */
static void print_planes(const double *planes, size_t n_planes)
{
    if (n_planes > 4)
        printf("\n%68s", "");
    for (size_t i = 0; i < n_planes; i++)
        printf(" %.3f", planes[i]);
    printf("\n");
}

static void print_dtypes(const struct mth_info *info)
{
    char size[MTH_TEXT_BYTES], ratio[16];
    printf("\n%-12s %8s %12s %11s %9s %8s %6s %8s %9s  %s\n", "dtype", "tensors", "elements", "size",
           "exponent", "distinct", "sign", "mantissa", "bound", "byte planes, low first");
    for (size_t i = 0; i < MTH_N_DTYPES; i++) {
        const struct mth_info_dtype *row = &info->dtypes[i];
        const struct mth_dtype_info *dtype = mth_dtype_info((enum mth_dtype)i);
        if (row->n_bytes == 0 && row->n_tensors == 0)
            continue;
        if (i == MTH_DTYPE_OPAQUE) {
            printf("%-12s %8s %12s %11s  (what is no tensor: headers, padding)\n", "(opaque)", "-", "-",
                   mth_text_size(row->n_bytes, size));
            continue;
        }
        printf("%-12s %8" PRIu64 " %12" PRIu64 " %11s", dtype->name, row->n_tensors, row->n_elems,
               mth_text_size(row->n_bytes, size));
        if (dtype->exponent_bits)
            printf(" %9.4f %8u %6.3f %8.3f", row->entropy.exponent, row->entropy.n_exponents,
                   row->entropy.sign, row->entropy.mantissa);
        else
            printf(" %9s %8s %6s %8s", "-", "-", "-", "-");
        printf(" %9s ", print_ratio(row->bound_ratio, ratio));
        print_planes(row->entropy.planes, row->entropy.n_planes);
    }
}

static void print_pairs(const struct mth_info *info, const char *base_path, const char *older_path)
{
    char name[MTH_TEXT_BYTES], ratio[16];
    size_t n_regions = 0;
    for (size_t i = 0; i < info->input->map.n_regions; i++)
        n_regions += info->input->map.regions[i].dtype != MTH_DTYPE_OPAQUE;
    printf("\nagainst %s: %zu of %zu tensors are there by name, dtype and shape, bound %s (%s)\n",
           mth_text_name(base_path, 60, name), info->n_matched, n_regions,
           print_ratio(info->pair_bound.ratio, ratio), info->pair_bound.model);
    if (info->older)
        printf("  out of %s: bound %s (%s)\n", mth_text_name(older_path, 60, name),
               print_ratio(info->directed_bound.ratio, ratio), info->directed_bound.model);
    if (info->paired.n_same < n_regions)
        printf("  coded against it: %s\n", mth_pairing_text(&info->paired, name));
    printf("%-12s %12s %12s %9s %9s  %s\n", "dtype", "elements", "changed", "", "bound",
           "xor byte planes, low first");
    for (size_t i = 0; i < MTH_N_DTYPES; i++) {
        const struct mth_entropy *paired = &info->dtypes[i].paired;
        if (paired->n_lanes == 0)
            continue;
        printf("%-12s %12" PRIu64 " %12" PRIu64 " %8.4f%% %9s ", mth_dtype_info((enum mth_dtype)i)->name,
               paired->n_lanes, paired->n_changed, 100 * (double)paired->n_changed / (double)paired->n_lanes,
               print_ratio(info->dtypes[i].paired_bound_ratio, ratio));
        print_planes(paired->xor_planes, paired->n_planes);
    }
}

static void print_tensors(const struct mth_info *info)
{
    const struct mth_region_map *map = &info->input->map;
    enum { NAME_COLUMNS = 46, SHAPE_COLUMNS = 18 };
    if (info->n_tensors == 0)
        return;
    printf("\n%-*s %-11s %-*s %11s %9s", NAME_COLUMNS, "tensor", "dtype", SHAPE_COLUMNS, "shape", "size",
           "exponent");
    printf(info->base ? " %9s %9s\n" : "\n", "changed", "xor bits");
    for (size_t i = 0; i < info->n_tensors; i++) {
        const struct mth_info_tensor *row = &info->tensors[i];
        const struct mth_tensor *tensor = row->tensor;
        const struct mth_dtype_info *dtype = mth_dtype_info((enum mth_dtype)tensor->dtype);
        char name[MTH_TEXT_BYTES], shape[MTH_TEXT_BYTES], size[MTH_TEXT_BYTES];
        printf("%-*s %-11s %-*s %11s", NAME_COLUMNS,
               mth_text_name(mth_tensor_name(map, tensor), NAME_COLUMNS, name), dtype->name, SHAPE_COLUMNS,
               mth_info_shape(map, tensor, SHAPE_COLUMNS, shape),
               mth_text_size(mth_tensor_bytes(tensor), size));
        if (dtype->exponent_bits && row->entropy.n_lanes)
            printf(" %9.4f", row->entropy.exponent);
        else
            printf(" %9s", "-");
        if (row->matched && row->entropy.n_lanes) {
            double bits = 0;
            for (size_t p = 0; p < row->entropy.n_planes; p++)
                bits += row->entropy.xor_planes[p];
            printf(" %8.4f%% %9.4f", 100 * (double)row->entropy.n_changed / (double)row->entropy.n_lanes,
                   bits);
        } else if (info->base) {
            printf(" %9s %9s", "no base", "-");
        }
        printf("\n");
    }
}

static void print_info(const struct mth_info *info, const char *path, const char *base_path,
                       const char *older_path)
{
    const struct mth_region_map *map = &info->input->map;
    char name[MTH_TEXT_BYTES], size[MTH_TEXT_BYTES], ratio[16];
    printf("%s: %s, %" PRIu64 " bytes (%s), %zu tensors\n", mth_text_name(path, 48, name), map->format,
           map->n_bytes, mth_text_size(map->n_bytes, size), map->n_tensors);
    printf(
        "bound %s (%s); entropies are of order 0, in bits an element, pooled over the tensors of a dtype\n",
        print_ratio(info->bound.ratio, ratio), info->bound.model);
    print_dtypes(info);
    if (info->base)
        print_pairs(info, base_path, older_path);
    print_tensors(info);
}

static void put_entropy(struct mth_json_writer *w, const struct mth_entropy *entropy, enum mth_dtype dtype)
{
    if (mth_dtype_info(dtype)->exponent_bits) {
        mth_json_real(w, "exponent_bits", entropy->exponent);
        mth_json_uint(w, "n_exponents", entropy->n_exponents);
    } else {
        mth_json_null(w, "exponent_bits");
        mth_json_null(w, "n_exponents");
    }
}

static void put_planes(struct mth_json_writer *w, const char *key, const double *planes, size_t n_planes)
{
    mth_json_begin_array(w, key);
    for (size_t i = 0; i < n_planes; i++)
        mth_json_real(w, NULL, planes[i]);
    mth_json_end(w);
}

static void put_dtype(struct mth_json_writer *w, const struct mth_info *info, enum mth_dtype dtype)
{
    const struct mth_info_dtype *row = &info->dtypes[dtype];
    if (row->n_bytes == 0 && row->n_tensors == 0)
        return;
    mth_json_begin_object(w, NULL);
    mth_json_string(w, "dtype", mth_dtype_info(dtype)->name);
    mth_json_uint(w, "n_tensors", row->n_tensors);
    mth_json_uint(w, "n_elems", row->n_elems);
    mth_json_uint(w, "n_bytes", row->n_bytes);
    if (dtype != MTH_DTYPE_OPAQUE) {
        put_entropy(w, &row->entropy, dtype);
        if (mth_dtype_info(dtype)->exponent_bits) {
            mth_json_real(w, "sign_bits", row->entropy.sign);
            mth_json_real(w, "mantissa_bits", row->entropy.mantissa);
        }
        put_planes(w, "plane_bits", row->entropy.planes, row->entropy.n_planes);
        mth_json_real(w, "bound_ratio", row->bound_ratio);
    }
    if (row->paired.n_lanes) {
        mth_json_uint(w, "n_matched", row->paired.n_lanes);
        mth_json_uint(w, "n_changed", row->paired.n_changed);
        put_planes(w, "xor_plane_bits", row->paired.xor_planes, row->paired.n_planes);
        mth_json_real(w, "pair_bound_ratio", row->paired_bound_ratio);
    }
    mth_json_end(w);
}

static void put_tensor(struct mth_json_writer *w, const struct mth_info *info,
                       const struct mth_info_tensor *row)
{
    const struct mth_region_map *map = &info->input->map;
    enum mth_dtype dtype = (enum mth_dtype)row->tensor->dtype;
    mth_json_begin_object(w, NULL);
    mth_json_string(w, "name", mth_tensor_name(map, row->tensor));
    mth_json_string(w, "dtype", mth_dtype_info(dtype)->name);
    mth_json_begin_array(w, "shape");
    for (size_t i = 0; i < row->tensor->n_dims; i++)
        mth_json_uint(w, NULL, mth_tensor_shape(map, row->tensor)[i]);
    mth_json_end(w);
    mth_json_uint(w, "n_elems", row->tensor->n_elems);
    mth_json_uint(w, "n_bytes", mth_tensor_bytes(row->tensor));
    put_entropy(w, &row->entropy, dtype);
    if (info->base)
        mth_json_bool(w, "matched", row->matched);
    if (row->matched) {
        mth_json_uint(w, "n_changed", row->entropy.n_changed);
        put_planes(w, "xor_plane_bits", row->entropy.xor_planes, row->entropy.n_planes);
    }
    mth_json_end(w);
}

/* What the base became out of, by the second --base; NULL: none was given. */
static const char *older_path(const struct mth_options *options)
{
    return options->bases.n_items > 1 ? options->bases.items[1] : NULL;
}

static int put_info(const struct mth_info *info, const struct mth_options *options, struct mth_error *err)
{
    const struct mth_region_map *map = &info->input->map;
    struct mth_json_writer w;
    mth_json_writer_init(&w);
    mth_json_begin_object(&w, NULL);
    mth_json_string(&w, "kind", "info");
    mth_json_int(&w, "schema", 1);
    mth_json_string(&w, "file", options->operands.items[0]);
    mth_json_string(&w, "base", options->base);
    mth_json_string(&w, "format", map->format);
    mth_json_uint(&w, "raw_bytes", map->n_bytes);
    mth_json_uint(&w, "n_tensors", map->n_tensors);
    mth_json_real(&w, "bound_ratio", info->base ? info->pair_bound.ratio : info->bound.ratio);
    mth_json_string(&w, "bound_model", info->base ? info->pair_bound.model : info->bound.model);
    if (info->older) {
        mth_json_string(&w, "older", older_path(options));
        mth_json_real(&w, "directed_bound_ratio", info->directed_bound.ratio);
        mth_json_string(&w, "directed_bound_model", info->directed_bound.model);
    }
    mth_pairing_put(&w, "paired", info->base ? &info->paired : NULL);
    mth_json_begin_array(&w, "dtypes");
    for (int i = 0; i < MTH_N_DTYPES; i++)
        put_dtype(&w, info, (enum mth_dtype)i);
    mth_json_end(&w);
    mth_json_begin_array(&w, "tensors");
    for (size_t i = 0; i < info->n_tensors; i++)
        put_tensor(&w, info, &info->tensors[i]);
    mth_json_end(&w);
    mth_json_end(&w);
    return mth_text_put_json(&w, options->json, err);
}

static int tell_checkpoint(const struct mth_options *options, struct mth_opened *opened,
                           struct mth_error *err)
{
    const char *path = options->operands.items[0];
    const char *older = older_path(options);
    struct mth_loaded input = {0}, base = {0}, before = {0};
    struct mth_info info;
    int status = mth_loaded_take(opened, options->dtype, &input, err);
    if (!status && options->base)
        status = mth_loaded_open(options->base, options->dtype, opened->memory, &base, err);
    if (!status && older)
        status = mth_loaded_open(older, options->dtype, opened->memory, &before, err);
    if (!status)
        status = mth_info_collect(&input, options->base ? &base : NULL, older ? &before : NULL, options->name,
                                  &info, err);
    if (!status) {
        if (options->json)
            status = put_info(&info, options, err);
        else
            print_info(&info, path, options->base, older);
        mth_info_free(&info);
    }
    mth_loaded_close(&input);
    mth_loaded_close(&base);
    mth_loaded_close(&before);
    return status;
}

/* A container is told of as it is, also where it is the index of others. */
static int open_input(const struct mth_options *options, struct mth_memory *memory, struct mth_opened *opened,
                      struct mth_error *err)
{
    const char *path = options->operands.items[0];
    if (mth_path_is_directory(path))
        return mth_opened_open_any(opened, path, 1, memory, err);
    int status = mth_opened_open(opened, path, 1, memory, err);
    if (status || opened->container || options->dtype != MTH_N_DTYPES || strcmp(path, "-") == 0)
        return status;
    mth_opened_close(opened);
    return mth_opened_open_any(opened, path, 1, memory, err);
}

int mth_cmd_info(int argc, char **argv)
{
    static const struct mth_command_line line = {
        .usage = "info FILE|INDEX|DIRECTORY [OPTION...]",
        .summary =
            "Tells what a checkpoint holds: tensors, dtypes, the order-0 entropy of their streams, and the "
            "bound\n"
            "that follows from it; against a base (-b) how much changed; with a second one, an older "
            "checkpoint that\n"
            "the base became out of, the bound that knows directions. Of a container: how it was made, the "
            "tensors that\n"
            "it restores, and what each takes; nothing but the header is decoded, and the base is seldom "
            "needed.\n"
            "An index of shards (*.index.json), a directory of shards or of torch.distributed.checkpoint is "
            "one checkpoint.\n"
            "Of a directory that is one container, the files that it restores to.",
        .takes = MTH_TAKES_CHAIN | MTH_TAKES_NAME | MTH_TAKES_DTYPE | MTH_TAKES_JSON,
        .min_operands = 1,
        .max_operands = 1,
    };
    struct mth_options options;
    struct mth_error err = {0};
    struct mth_opened opened = {0};
    int exit_code;
    if (!mth_options_parse(&line, argc, argv, &options, &exit_code))
        return exit_code;
    struct mth_memory *memory = mth_memory_create(0);
    struct mth_base_files bases = {0};
    int status = memory ? open_input(&options, memory, &opened, &err)
                        : mth_error_set(&err, MTH_ERR_NO_MEMORY, "no memory");
    /* Containers of a set are read against the base that they are then compared with. */
    if (!status && opened.set && options.base && mth_opened_needs_base(&opened)) {
        status = mth_base_files_open(&bases, &options, 1, memory, &err);
        if (!status)
            status = mth_base_files_give(&bases, &opened, &err);
    }
    if (!status && opened.container)
        status = mth_info_container(&opened, &options, memory, &err);
    else if (!status && options.bases.n_items > 2)
        status =
            mth_error_set(&err, MTH_ERR_USAGE,
                          "%s: is no container; it is compared with one base and an older one", opened.path);
    else if (!status)
        status = tell_checkpoint(&options, &opened, &err);
    mth_opened_close(&opened);
    mth_base_files_close(&bases);
    mth_memory_destroy(memory);
    mth_options_free(&options);
    return status ? mth_command_fail(&err) : MTH_EXIT_OK;
}
