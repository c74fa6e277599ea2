/*
 * Laws of the manifest and of what it lists: the committed files are the pinned ones, the generated ones come out as
 * pinned, step files are ordered by step, and a manifest that breaks the schema is refused with the member that does.
 *
 * Reads datasets/ of the directory it is started in: the root of the repository.
 */
#include "base/checked.h"
#include "datasets/small_model.h"
#include "datasets/small_tensors.h"
#include "formats/region_map.h"
#include "harness/command.h"
#include "harness/dataset_get.h"
#include "harness/datasets.h"
#include "harness/file_digest.h"
#include "harness/step_files.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct mth_error err;

static struct mth_manifest *load(const char *path)
{
    struct mth_manifest *manifest;
    if (mth_manifest_load(path, &manifest, &err))
        fail_msg("%s", err.text);
    return manifest;
}

/* ---- the generated dataset ---- */

static void small_model_comes_out_as_pinned(void **state)
{
    (void)state;
    char *directory = temp_dir_create(), raw[512], safetensors[512];
    struct mth_manifest *manifest = load("datasets/manifest.json");
    const struct mth_dataset *dataset = mth_manifest_dataset_find(manifest, "small-model");
    assert_non_null(dataset);
    assert_int_equal(dataset->n_files, 2);
    snprintf(raw, sizeof raw, "%s/small_model.bin", directory);
    snprintf(safetensors, sizeof safetensors, "%s/small_model.safetensors", directory);
    assert_int_equal(mth_small_model_write(raw, safetensors, &err), 0);
    for (size_t i = 0; i < dataset->n_files; i++) {
        const struct mth_dataset_file *file = &dataset->files[i];
        const char *made = file->raw_dtype == MTH_DTYPE_BF16 ? raw : safetensors;
        struct mth_file_digest digest;
        assert_int_equal(mth_file_digest(made, true, &digest, &err), 0);
        if (mth_file_digest_compare(&digest, file, made, &err))
            fail_msg("%s", err.text);
    }
    mth_manifest_free(manifest);
    temp_dir_destroy(directory);
}

static void small_model_has_the_exponents_of_a_trained_model(void **state)
{
    (void)state;
    size_t n = mth_small_model_elems(), counts[256] = {0}, n_big = 0;
    uint8_t *data = malloc(2 * n);
    assert_non_null(data);
    assert_in_range(2 * n, 9990000, 10010000);
    mth_small_model_fill(data);
    for (size_t i = 0; i < n; i++) {
        uint16_t bits = mth_load16(data + 2 * i);
        counts[bits >> 7 & 0xff]++;
        n_big += (bits >> 7 & 0xff) >= 129; /* 4 and above, infinities, NaN */
    }
    double entropy = 0;
    for (size_t i = 0; i < 256; i++)
        if (counts[i])
            entropy -= (double)counts[i] / (double)n * log2((double)counts[i] / (double)n);
    if (entropy < 2.5 || entropy > 2.7)
        fail_msg("%.3f bits of exponent", entropy);
    assert_int_equal(n_big, 0);
    free(data);
}

static void small_model_is_the_same_raw_and_as_safetensors(void **state)
{
    (void)state;
    char *directory = temp_dir_create(), path[512];
    snprintf(path, sizeof path, "%s/model.safetensors", directory);
    assert_int_equal(mth_small_model_write(NULL, path, &err), 0);
    size_t n = 2 * mth_small_model_elems(), n_file;
    uint8_t *data = malloc(n);
    char *file = temp_dir_read(directory, "model.safetensors", &n_file);
    assert_non_null(data);
    assert_non_null(file);
    mth_small_model_fill(data);
    assert_memory_equal(file + n_file - n, data, n);

    struct mth_memory *memory = mth_memory_create(0);
    struct mth_source source;
    struct mth_region_map map;
    const struct mth_format_options options = {.raw_dtype = MTH_N_DTYPES};
    assert_int_equal(mth_source_open(path, &source, &err), 0);
    if (mth_format_map(&source, &options, memory, &map, &err))
        fail_msg("%s", err.text);
    assert_string_equal(map.format, "safetensors");
    assert_int_equal(map.n_tensors, 67);
    uint64_t n_elems = 0;
    for (size_t i = 0; i < map.n_tensors; i++) {
        assert_int_equal(map.tensors[i].dtype, MTH_DTYPE_BF16);
        n_elems += map.tensors[i].n_elems;
    }
    assert_int_equal(n_elems, mth_small_model_elems());
    mth_region_map_free(&map);
    mth_source_close(&source);
    mth_memory_destroy(memory);
    free(file);
    free(data);
    temp_dir_destroy(directory);
}

static void small_tensors_come_out_as_pinned_whole_or_in_pieces(void **state)
{
    static const char *const ids[] = {"many-tensors", "thousands-of-tensors", "one-tensor"};
    static const size_t joined[] = {1, 20, MTH_SMALL_TENSORS};
    size_t n = 2 * mth_small_tensors_elems();
    char *directory = temp_dir_create(), *elements[3];
    struct mth_manifest *manifest = load("datasets/manifest.json");
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char path[512];
        const struct mth_dataset *dataset = mth_manifest_dataset_find(manifest, ids[i]);
        struct mth_file_digest digest;
        size_t n_file;
        assert_non_null(dataset);
        snprintf(path, sizeof path, "%s/%s", directory, ids[i]);
        assert_int_equal(mth_small_tensors_write(path, joined[i], &err), 0);
        assert_int_equal(mth_file_digest(path, false, &digest, &err), 0);
        if (mth_file_digest_compare(&digest, &dataset->files[0], path, &err))
            fail_msg("%s", err.text);
        elements[i] = temp_dir_read(directory, ids[i], &n_file);
        assert_non_null(elements[i]);
        assert_true(n_file > n);
        memmove(elements[i], elements[i] + n_file - n, n);
    }
    assert_memory_equal(elements[0], elements[1], n);
    assert_memory_equal(elements[0], elements[2], n);
    for (size_t i = 0; i < 3; i++)
        free(elements[i]);
    mth_manifest_free(manifest);
    temp_dir_destroy(directory);
}

static void report_nothing(const void *arg, const char *line)
{
    (void)arg;
    (void)line;
}

static void make_puts_a_damaged_generated_file_right(void **state)
{
    (void)state;
    const struct mth_dataset_reporter reporter = {.report = report_nothing};
    char *directory = temp_dir_create(), path[512];
    size_t n;
    char *text = temp_dir_read("datasets", "manifest.json", &n);
    assert_non_null(text);
    temp_dir_write(directory, "datasets/manifest.json", text, n);
    temp_dir_write(directory, "fixtures/checkpoints/small_model.bin", "damaged", 7);
    snprintf(path, sizeof path, "%s/datasets/manifest.json", directory);
    struct mth_manifest *manifest = load(path);
    const struct mth_dataset *dataset = mth_manifest_dataset_find(manifest, "small-model");
    assert_int_equal(mth_dataset_make(dataset, false, &reporter, &err), 0);
    assert_int_equal(temp_dir_count(directory, "fixtures"), 2);
    for (size_t i = 0; i < dataset->n_files; i++) {
        struct mth_file_digest digest;
        assert_int_equal(mth_file_digest(dataset->files[i].path, false, &digest, &err), 0);
        assert_int_equal(mth_file_digest_compare(&digest, &dataset->files[i], "file", &err), 0);
    }
    dataset = mth_manifest_dataset_find(manifest, "tiny-gpt");
    assert_int_equal(mth_dataset_make(dataset, false, &reporter, &err), MTH_ERR_USAGE);
    mth_manifest_free(manifest);
    free(text);
    temp_dir_destroy(directory);
}

/* ---- the committed datasets ---- */

static void committed_files_are_there_and_as_pinned(void **state)
{
    (void)state;
    struct mth_manifest *manifest = load("datasets/manifest.json");
    const struct mth_dataset *dataset;
    size_t n_files = 0;
    for (size_t i = 0; (dataset = mth_manifest_dataset_at(manifest, i)); i++)
        for (size_t f = 0; dataset->source == MTH_SOURCE_COMMITTED && f < dataset->n_files; f++) {
            struct mth_file_digest digest;
            if (mth_file_digest(dataset->files[f].path, true, &digest, &err) ||
                mth_file_digest_compare(&digest, &dataset->files[f], dataset->files[f].path, &err))
                fail_msg("%s", err.text);
            n_files++;
        }
    assert_true(n_files > 0);
    mth_manifest_free(manifest);
}

/* The bf16 elements of a safetensors file whose tensors are all bf16. The caller frees *content. */
static const uint8_t *elements(const char *path, char **content, size_t *n_elems)
{
    size_t n;
    *content = temp_dir_read(".", path, &n);
    assert_non_null(*content);
    uint64_t n_header = mth_load64((const uint8_t *)*content);
    assert_true(n_header < n - 8);
    *n_elems = (n - 8 - (size_t)n_header) / 2;
    return (const uint8_t *)*content + 8 + n_header;
}

static void fractions_changed_are_what_the_files_say(void **state)
{
    (void)state;
    struct mth_manifest *manifest = load("datasets/manifest.json");
    const struct mth_dataset_entry *entry;
    size_t n_pairs = 0;
    for (size_t i = 0; (entry = mth_manifest_entry_at(manifest, i)); i++) {
        if (entry->dataset->source != MTH_SOURCE_COMMITTED || !entry->base_path)
            continue;
        char *old_content, *new_content;
        size_t n_old, n_new, n_changed = 0;
        const uint8_t *old = elements(entry->base_path, &old_content, &n_old);
        const uint8_t *new = elements(entry->path, &new_content, &n_new);
        assert_int_equal(n_old, n_new);
        assert_int_equal(n_new, entry->n_elements);
        for (size_t k = 0; k < n_new; k++)
            n_changed += mth_load16(old + 2 * k) != mth_load16(new + 2 * k);
        if (fabs((double)n_changed / (double)n_new - entry->fraction_changed) > 1e-6)
            fail_msg("%s: %.6f", entry->id, (double)n_changed / (double)n_new);
        free(old_content);
        free(new_content);
        n_pairs++;
    }
    assert_int_equal(n_pairs, 6);
    mth_manifest_free(manifest);
}

static void a_pair_belongs_to_a_run_in_step_order(void **state)
{
    (void)state;
    struct mth_manifest *manifest = load("datasets/manifest.json");
    const struct mth_dataset_entry *entry = mth_manifest_entry_find(manifest, "tiny-gpt/finetune-1e-6");
    assert_non_null(entry);
    assert_true(entry->present);
    assert_int_equal(entry->steps_apart, 1);
    assert_true(entry->lr == 1e-6);
    assert_string_equal(entry->class_name, "toy-trained");
    assert_null(entry->older_path);
    const struct mth_dataset_entry *directed =
        mth_manifest_entry_find(manifest, "tiny-gpt/finetune-1e-6-since-100");
    assert_non_null(directed);
    assert_true(directed->present && directed->file == entry->file &&
                directed->base_file == entry->base_file);
    const struct mth_dataset_run *run = mth_manifest_run_find(manifest, entry->run_id);
    assert_non_null(run);
    assert_string_equal(directed->older_path, run->paths[0]);
    assert_string_equal(directed->older_xxh3, directed->older_file->xxh3);
    assert_true(run->present);
    assert_int_equal(run->n_paths, 3);
    for (size_t i = 1; i < run->n_paths; i++)
        assert_true(strcmp(run->paths[i - 1], run->paths[i]) < 0);
    assert_null(mth_manifest_entry_find(manifest, "tiny-gpt/finetune"));
    assert_int_equal(mth_manifest_unknown(manifest, "tiny-gbt", &err), MTH_ERR_USAGE);
    assert_non_null(strstr(err.text, "'tiny-gpt'"));
    mth_manifest_free(manifest);
}

static void a_pair_of_releases_need_not_know_its_steps(void **state)
{
    (void)state;
    struct mth_manifest *manifest = load("datasets/manifest.json");
    const struct mth_dataset_entry *entry = mth_manifest_entry_find(manifest, "silero-vad/5.1.2-6.0.0");
    assert_non_null(entry);
    assert_int_equal(entry->steps_apart, 0);
    /* Each from the wheel of its release. */
    assert_string_equal(entry->base_file->version, "5.1.2");
    assert_string_equal(entry->file->version, "6.0.0");
    assert_string_not_equal(entry->base_file->wheel_sha256, entry->file->wheel_sha256);
    /* And one that says none from the dataset's. */
    entry = mth_manifest_entry_find(manifest, "silero-vad");
    assert_string_equal(entry->file->version, entry->dataset->version);
    assert_string_equal(entry->file->wheel, entry->dataset->wheel);
    mth_manifest_free(manifest);
}

/* ---- the schema ---- */

#define MTH_HASHES                                               \
    "\"bytes\":3,\"xxh3\":\"00000000000000000000000000000000\"," \
    "\"sha256\":\"0000000000000000000000000000000000000000000000000000000000000000\""

static const char valid[] =
    "{\"schema\":1,\"datasets\":[{\"id\":\"d\",\"class\":\"user\",\"title\":\"t\",\"licence\":\"l\","
    "\"source\":{\"kind\":\"committed\"},\"files\":[{\"path\":\"a/one.bin\"," MTH_HASHES
    ",\"dtype\":\"BF16\"},"
    "{\"path\":\"a/two.bin\"," MTH_HASHES "}],\"checkpoints\":[{\"id\":\"d\",\"file\":\"a/one.bin\"}],"
    "\"pairs\":[{\"id\":\"d/p\",\"base\":\"a/one.bin\",\"file\":\"a/two.bin\",\"steps_apart\":1,\"lr\":1e-6,"
    "\"run\":\"d/r\"}],\"runs\":[{\"id\":\"d/r\",\"checkpoints\":[\"a/one.bin\",\"a/two.bin\"]}]}]}";

static void paths_are_relative_to_the_parent_of_the_manifests_directory(void **state)
{
    (void)state;
    char *directory = temp_dir_create(), path[512], wanted[512];
    temp_dir_write(directory, "lists/mine.json", valid, sizeof valid - 1);
    temp_dir_write(directory, "a/one.bin", "abc", 3);
    snprintf(path, sizeof path, "%s/lists/mine.json", directory);
    struct mth_manifest *manifest = load(path);
    const struct mth_dataset_entry *lone = mth_manifest_entry_find(manifest, "d");
    const struct mth_dataset_entry *pair = mth_manifest_entry_find(manifest, "d/p");
    snprintf(wanted, sizeof wanted, "%s/a/one.bin", directory);
    assert_string_equal(lone->path, wanted);
    assert_true(lone->present);
    assert_int_equal(lone->raw_dtype, MTH_DTYPE_BF16);
    assert_int_equal(lone->n_bytes, 3);
    assert_null(lone->base_path);
    assert_false(pair->present);
    assert_int_equal(pair->raw_dtype, MTH_N_DTYPES);
    assert_string_equal(pair->base_path, wanted);
    assert_true(pair->fraction_changed < 0);
    assert_false(mth_manifest_run_find(manifest, "d/r")->present);
    assert_int_equal(mth_dataset_absent(pair->dataset, &err), MTH_ERR_NOT_FOUND);
    mth_manifest_free(manifest);

    snprintf(path, sizeof path, "%s/lists/../lists/mine.json", directory);
    manifest = load(path);
    assert_true(mth_manifest_entry_find(manifest, "d")->present);
    mth_manifest_free(manifest);
    temp_dir_destroy(directory);
}

/* The valid manifest with the first occurrence of a text replaced by another; the caller frees it. */
static char *broken(const char *from, const char *to)
{
    const char *at = strstr(valid, from);
    assert_non_null(at);
    size_t n = sizeof valid + strlen(to);
    char *text = malloc(n);
    assert_non_null(text);
    snprintf(text, n, "%.*s%s%s", (int)(at - valid), valid, to, at + strlen(from));
    return text;
}

static void a_manifest_that_breaks_the_schema_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *says;
    } cases[] = {
        {"\"schema\":1", "\"schema\":2", "schema: is 2, must be from 1 to 1"},
        {"\"schema\":1,", "", "schema: is missing"},
        {"\"user\"", "\"guessed\"", "datasets[0].class: is 'guessed'"},
        {"\"class\":\"user\",", "", "datasets[0].class: is missing"},
        {"\"title\"", "\"tittle\"", "tittle: is not a member of the schema; did you mean title?"},
        {"\"committed\"", "\"stolen\"", "datasets[0].source.kind: is 'stolen'"},
        {"\"committed\"", "\"trained\"", "datasets[0].source.rebuild: is missing"},
        {"\"kind\":\"committed\"", "\"kind\":\"trained\",\"rebuild\":\"run d; id\"", "source.rebuild: "},
        {"\"id\":\"d\"", "\"id\":\"../d\"", "datasets[0].id: must be"},
        {"\"id\":\"d\"", "\"id\":\"d/e\"", "datasets[0].id: must not hold '/'"},
        {"\"xxh3\":\"00000000000000000000000000000000\",", "", "files[0].xxh3: is missing"},
        {"\"xxh3\":\"0", "\"xxh3\":\"", "files[0].xxh3: must be 32 lower-case hex digits"},
        {"\"xxh3\":\"0", "\"xxh3\":\"G", "files[0].xxh3: must be 32 lower-case hex digits"},
        {"\"sha256\":\"0", "\"sha256\":\"A", "files[0].sha256: must be 64 lower-case hex digits"},
        {"\"bytes\":3", "\"bytes\":0", "files[0].bytes: is 0"},
        {"\"bytes\":3", "\"bytes\":-3", "files[0].bytes: is -3"},
        {"\"bytes\":3", "\"bytes\":\"3\"", "files[0].bytes: must be an integer"},
        {"\"path\":\"a/one.bin\"", "\"path\":\"../one.bin\"", "files[0].path: must not leave the repository"},
        {"\"path\":\"a/one.bin\"", "\"path\":\"a/../../one.bin\"",
         "files[0].path: must not leave the repository"},
        {"\"path\":\"a/one.bin\"", "\"path\":\"/etc/passwd\"", "files[0].path: must be relative"},
        {"\"path\":\"a/one.bin\"", "\"path\":\"a//one.bin\"", "files[0].path: must not hold empty parts"},
        {"\"path\":\"a/one.bin\"", "\"path\":\"a/-o\"",
         "files[0].path: must not hold parts that begin with '-'"},
        {"\"path\":\"a/one.bin\"", "\"path\":\"a/$(id)\"", "files[0].path: may hold only"},
        {"\"path\":\"a/two.bin\"", "\"path\":\"a/one.bin\"", "files[1].path: 'a/one.bin' is there twice"},
        {"\"BF16\"", "\"BF17\"", "files[0].dtype: 'BF17' is no dtype"},
        {"\"id\":\"d/p\"", "\"id\":\"e/p\"", "pairs[0].id: must be 'd', or begin with 'd/'"},
        {"\"id\":\"d/p\"", "\"id\":\"d\"", "pairs[0].id: 'd' is there twice"},
        {"\"base\":\"a/one.bin\"", "\"base\":\"a/two.bin\"", "pairs[0].base: is the checkpoint itself"},
        {"\"base\":\"a/one.bin\"", "\"base\":\"a/six.bin\"",
         "pairs[0].base: 'a/six.bin' is not among the files"},
        {"\"steps_apart\":1", "\"older\":\"a/two.bin\"", "pairs[0].older: is the checkpoint or its base"},
        {"\"steps_apart\":1", "\"older\":\"a/one.bin\"", "pairs[0].older: is the checkpoint or its base"},
        {"\"steps_apart\":1", "\"older\":\"a/six.bin\"",
         "pairs[0].older: 'a/six.bin' is not among the files"},
        {"\"steps_apart\":1", "\"older\":3", "pairs[0].older: must be a string"},
        {"\"steps_apart\":1", "\"steps_apart\":0", "pairs[0].steps_apart: is 0"},
        {"\"lr\":1e-6", "\"fraction_changed\":1.5", "pairs[0].fraction_changed: is 1.5, must be from 0 to 1"},
        {"\"run\":\"d/r\"", "\"run\":\"d/q\"", "pairs[0].run: 'd/q' is not among the runs"},
        {"[\"a/one.bin\",\"a/two.bin\"]", "[\"a/one.bin\"]", "runs[0].checkpoints: must be at least two"},
        {"[\"a/one.bin\",", "[7,", "runs[0].checkpoints[0]: must be a string"},
        {"{\"kind\":\"committed\"}", "{\"kind\":\"hub\",\"repo\":\"name\"}",
         "source.repo: must be owner/name"},
        {"{\"kind\":\"committed\"}", "{\"kind\":\"hub\",\"repo\":\"a/../b\"}", "source.repo: may hold only"},
        {"{\"kind\":\"committed\"}", "{\"kind\":\"hub\",\"repo\":\"o/n\"}", "files[0].revision: is missing"},
        {"\"dtype\":\"BF16\"}", "\"dtype\":\"BF16\"},7", "files[1]: must be an object"},
        {"[{\"id\":\"d\",\"class", "[{\"id\":\"d\",\"id\":\"d\",\"class", "line 1: "},
    };
    char *directory = temp_dir_create(), path[512];
    snprintf(path, sizeof path, "%s/datasets/manifest.json", directory);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = broken(cases[i].from, cases[i].to);
        struct mth_manifest *manifest;
        temp_dir_write(directory, "datasets/manifest.json", text, strlen(text));
        int status = mth_manifest_load(path, &manifest, &err);
        if (status != MTH_ERR_FORMAT || !strstr(err.text, cases[i].says))
            fail_msg("%s for %s: %s", mth_status_name(status), cases[i].to, status ? err.text : "taken");
        assert_null(manifest);
        free(text);
    }
    temp_dir_destroy(directory);
}

static void what_is_downloaded_may_only_go_to_its_own_directory(void **state)
{
    (void)state;
    static const char format[] =
        "{\"schema\":1,\"datasets\":[{\"id\":\"d\",\"class\":\"user\",\"title\":\"t\",\"licence\":\"l\","
        "\"source\":{\"kind\":\"hub\",\"repo\":\"o/n\"},\"files\":[{\"path\":\"%s\",\"revision\":\"main\","
        "\"remote\":\"f\"}]}]}";
    static const char *const paths[] = {"harness/main.c", "build/datasets/e/f", "build/datasets/de/f",
                                        "build/datasets/d"};
    char *directory = temp_dir_create(), path[512], text[512];
    snprintf(path, sizeof path, "%s/datasets/manifest.json", directory);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct mth_manifest *manifest;
        int n = snprintf(text, sizeof text, format, paths[i]);
        temp_dir_write(directory, "datasets/manifest.json", text, (size_t)n);
        assert_int_equal(mth_manifest_load(path, &manifest, &err), MTH_ERR_FORMAT);
        assert_non_null(strstr(err.text, "files[0].path: must lie in build/datasets/d/"));
    }
    int n = snprintf(text, sizeof text, format, "build/datasets/d/f");
    temp_dir_write(directory, "datasets/manifest.json", text, (size_t)n);
    mth_manifest_free(load(path));
    temp_dir_destroy(directory);
}

/* ---- step files ---- */

static void step_files_are_ordered_by_their_number(void **state)
{
    (void)state;
    char *directory = temp_dir_create(), wanted[512];
    static const char *const names[] = {"run-10.safetensors", "run-9.safetensors", "run-0100.safetensors",
                                        "2.pt"};
    static const char *const others[] = {"notes.txt", "run-11.json", "model.safetensors", ".hidden-3.pt",
                                         "run-4.pt/x"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        temp_dir_write(directory, names[i], "", 0);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        temp_dir_write(directory, others[i], "", 0);
    struct mth_step_files files;
    assert_int_equal(mth_step_files_list(directory, &files, &err), 0);
    static const size_t order[] = {3, 1, 0, 2};
    static const uint64_t steps[] = {2, 9, 10, 100};
    assert_int_equal(files.n_items, 4);
    for (size_t i = 0; i < 4; i++) {
        snprintf(wanted, sizeof wanted, "%s/%s", directory, names[order[i]]);
        assert_string_equal(files.items[i].path, wanted);
        assert_int_equal(files.items[i].step, steps[i]);
    }
    mth_step_files_free(&files);
    temp_dir_destroy(directory);
}

static void directories_of_several_files_are_steps(void **state)
{
    (void)state;
    char *directory = temp_dir_create();
    struct mth_step_files files;
    temp_dir_write(directory, "step-10/model-00001-of-00001.safetensors", "", 0);
    temp_dir_write(directory, "step-9/m.safetensors.index.json.mth", "", 0);
    temp_dir_write(directory, "step-11/.metadata", "", 0);
    temp_dir_write(directory, "step-12/model.safetensors", "", 0);
    temp_dir_write(directory, "step-8.pt", "", 0);
    assert_int_equal(mth_step_files_list(directory, &files, &err), MTH_OK);
    assert_int_equal(files.n_items, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(files.items[i].step, 8 + i);
    mth_step_files_free(&files);
    temp_dir_destroy(directory);
}

static void step_files_that_have_no_order_are_refused(void **state)
{
    (void)state;
    char *directory = temp_dir_create();
    struct mth_step_files files;
    assert_int_equal(mth_step_files_list(directory, &files, &err), MTH_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "neither a checkpoint of several files nor a run of steps"));
    /* A number that fits no integer is no step. */
    temp_dir_write(directory, "a-99999999999999999999.pt", "", 0);
    assert_int_equal(mth_step_files_list(directory, &files, &err), MTH_ERR_NOT_FOUND);
    temp_dir_write(directory, "a-7.pt", "", 0);
    temp_dir_write(directory, "b-007.pt", "", 0);
    assert_int_equal(mth_step_files_list(directory, &files, &err), MTH_ERR_USAGE);
    assert_non_null(strstr(err.text, "two checkpoints of step 7"));
    assert_null(files.items);
    temp_dir_destroy(directory);
    assert_int_equal(mth_step_files_list("no/such/directory", &files, &err), MTH_ERR_NOT_FOUND);
    assert_int_equal(mth_step_files_list("datasets/manifest.json", &files, &err), MTH_ERR_NOT_FOUND);
}

/* `mithril datasets check d` on the manifest in a directory. */
static int check_trained(const char *directory, const char **said)
{
    static char out[256];
    const char *const arguments[] = {"datasets", "check", "d", NULL};
    struct program_result result = program_run(directory, arguments);
    int code = result.exit_code;
    snprintf(out, sizeof out, "%s%s", result.out, result.err);
    *said = out;
    program_result_free(&result);
    return code;
}

static void what_was_trained_here_must_be_what_the_manifest_or_the_run_recorded(void **state)
{
    static const char manifest[] =
        "{\"schema\": 1, \"datasets\": [{\"id\": \"d\", \"class\": \"toy-trained\", \"title\": \"t\", "
        "\"licence\": "
        "\"CC0-1.0\", \"source\": {\"kind\": \"trained\", \"rebuild\": \"train/run.sh d\"}, \"files\": "
        "[{\"path\": "
        "\"build/datasets/d/p/one.bin\", \"bytes\": 3, \"dtype\": \"BF16\", \"xxh3\": "
        "\"00000000000000000000000000000000\", \"sha256\": "
        "\"0000000000000000000000000000000000000000000000000000000000000000\"}]}]}";
    static const char record[] =
        "{\"run\": \"d\", \"checkpoints\": [{\"file\": \"p/one.bin\", \"step\": 1, \"sha256\": "
        "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}]}";
    char *directory = temp_dir_create();
    const char *said;
    (void)state;
    temp_dir_write(directory, "datasets/manifest.json", manifest, sizeof manifest - 1);
    assert_int_equal(check_trained(directory, &said), 6);
    assert_non_null(strstr(said, "d is not there: `train/run.sh d` trains it"));
    /* Neither the bits of the manifest, nor a record that tells of others. */
    temp_dir_write(directory, "build/datasets/d/p/one.bin", "abc", 3);
    assert_int_equal(check_trained(directory, &said), 2);
    temp_dir_write(directory, "build/datasets/d/settings.json", record, sizeof record - 1);
    assert_int_equal(check_trained(directory, &said), 0);
    assert_string_equal(said, "rebuilt   build/datasets/d/p/one.bin\n");
    temp_dir_write(directory, "build/datasets/d/p/one.bin", "abd", 3);
    assert_int_equal(check_trained(directory, &said), 2);
    temp_dir_write(directory, "build/datasets/d/settings.json", "{}", 2);
    assert_int_equal(check_trained(directory, &said), 2);
    assert_non_null(strstr(said, "checkpoints"));
    temp_dir_destroy(directory);
}

static void exit_codes_are_those_of_the_design(void **state)
{
    (void)state;
    assert_int_equal(mth_exit_code(MTH_OK), 0);
    assert_int_equal(mth_exit_code(MTH_ERR_USAGE), 1);
    assert_int_equal(mth_exit_code(MTH_ERR_SPEC), 1);
    assert_int_equal(mth_exit_code(MTH_ERR_FORMAT), 2);
    assert_int_equal(mth_exit_code(MTH_ERR_CHECKSUM), 2);
    assert_int_equal(mth_exit_code(MTH_ERR_BASE), 2);
    assert_int_equal(mth_exit_code(MTH_ERR_LIMIT), 5);
    assert_int_equal(mth_exit_code(MTH_ERR_NOT_FOUND), 6);
    assert_int_equal(mth_exit_code(MTH_ERR_NO_MEMORY), 6);
    assert_int_equal(mth_exit_code(MTH_ERR_CANCELLED), 130);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_model_comes_out_as_pinned),
        cmocka_unit_test(small_model_has_the_exponents_of_a_trained_model),
        cmocka_unit_test(small_model_is_the_same_raw_and_as_safetensors),
        cmocka_unit_test(small_tensors_come_out_as_pinned_whole_or_in_pieces),
        cmocka_unit_test(make_puts_a_damaged_generated_file_right),
        cmocka_unit_test(committed_files_are_there_and_as_pinned),
        cmocka_unit_test(fractions_changed_are_what_the_files_say),
        cmocka_unit_test(a_pair_belongs_to_a_run_in_step_order),
        cmocka_unit_test(a_pair_of_releases_need_not_know_its_steps),
        cmocka_unit_test(paths_are_relative_to_the_parent_of_the_manifests_directory),
        cmocka_unit_test(a_manifest_that_breaks_the_schema_is_refused),
        cmocka_unit_test(what_is_downloaded_may_only_go_to_its_own_directory),
        cmocka_unit_test(step_files_are_ordered_by_their_number),
        cmocka_unit_test(directories_of_several_files_are_steps),
        cmocka_unit_test(step_files_that_have_no_order_are_refused),
        cmocka_unit_test(what_was_trained_here_must_be_what_the_manifest_or_the_run_recorded),
        cmocka_unit_test(exit_codes_are_those_of_the_design),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
