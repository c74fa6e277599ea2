/* Resident memory of a cell; see bench_resident.h. */
#include "harness/bench_resident.h"

#include "base/file.h"
#include "harness/bench_arguments.h"
#include "harness/bench_ring.h"
#include "harness/child.h"
#include "harness/resident.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const char *const phase_names[MTH_N_PHASES] = {"compress", "decompress"};

/*
 * The most memory that was resident in this process. Linux's VmHWM, because ru_maxrss there also counts what was resident
 * before the program was started: a child of a large process would seem large.
 */
static uint64_t peak_bytes(void)
{
    uint64_t told = mth_resident_bytes(getpid(), MTH_RESIDENT_PEAK);
    if (told > 0)
        return told;
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
#ifdef __APPLE__
    return (uint64_t)usage.ru_maxrss;
#else
    return (uint64_t)usage.ru_maxrss << 10;
#endif
}

/* The peak is from now on that of what is resident now, where the system allows it. */
static void forget_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file)
        return;
    (void)fputs("5", file);
    (void)fclose(file);
}

struct pass {
    struct mth_memory *memory; /* of what is not the coder's */
    struct mth_loaded input, bases[MTH_RING_BASES];
    size_t n_bases;
    struct mth_buffer container;
    uint8_t *restored;
};

static uint8_t *touched(struct mth_memory *memory, size_t n_bytes)
{
    uint8_t *buffer = mth_memory_alloc(memory, n_bytes + 1);
    if (buffer)
        memset(buffer, MTH_RING_POISON, n_bytes + 1);
    return buffer;
}

static int make_room(const struct mth_bench *bench, struct pass *pass, struct mth_error *err)
{
    struct mth_coder *coder;
    struct mth_coder_config config = {
        .n_threads = 1, .chunk_bytes = bench->config.chunk_bytes, .memory = pass->memory};
    int status = mth_coder_create(&config, &coder, err);
    if (status)
        return status;
    status = mth_coder_bound(coder, &pass->input.checkpoint, &pass->container.capacity_bytes);
    mth_coder_destroy(coder);
    if (!status)
        pass->container.data = touched(pass->memory, pass->container.capacity_bytes);
    return status ? status : pass->container.data ? MTH_OK : MTH_ERR_NO_MEMORY;
}

/* Those that the container does not need. */
static int leave_out_bases(struct pass *pass, struct mth_error *err)
{
    struct mth_source source;
    struct mth_container *container;
    struct mth_container_info info;
    struct mth_stream_config config = {.n_threads = 1, .memory = pass->memory};
    mth_source_memory("container", (struct mth_bytes){pass->container.data, pass->container.n_bytes},
                      &source);
    int status = mth_container_open(&source, &config, &container, err);
    if (status)
        return status;
    mth_container_describe(container, &info);
    mth_container_close(container);
    pass->n_bases = (size_t)info.has_base + info.has_older;
    return MTH_OK;
}

static int load(const struct mth_bench *bench, const char *container, enum mth_phase phase, struct pass *pass,
                struct mth_error *err)
{
    const struct mth_bench_case *at = &bench->cases[0];
    pass->memory = mth_memory_create(0);
    int status = pass->memory ? MTH_OK : MTH_ERR_NO_MEMORY;
    if (!status)
        status = mth_bench_load(at, at->path, pass->memory, &pass->input, err);
    const char *const paths[MTH_RING_BASES] = {at->base_path, at->older_path};
    for (; !status && pass->n_bases < mth_bench_n_bases(at); pass->n_bases++)
        status = mth_bench_load(at, paths[pass->n_bases], pass->memory, &pass->bases[pass->n_bases], err);
    if (!status && phase == MTH_PHASE_COMPRESS)
        status = make_room(bench, pass, err);
    if (!status && phase == MTH_PHASE_DECOMPRESS)
        status = mth_file_read_all(container, pass->memory, &pass->container, err);
    if (!status && phase == MTH_PHASE_DECOMPRESS)
        status = leave_out_bases(pass, err);
    if (!status && phase == MTH_PHASE_DECOMPRESS) {
        pass->restored = touched(pass->memory, pass->input.bytes.n_bytes);
        status = pass->restored ? MTH_OK : MTH_ERR_NO_MEMORY;
    }
    return status;
}

static int code(const struct mth_bench *bench, struct mth_memory *memory, enum mth_phase phase,
                struct pass *pass, struct mth_error *err)
{
    const struct mth_bench_case *at = &bench->cases[0];
    struct mth_coder_config config = {.n_threads = at->n_threads,
                                      .chunk_bytes = bench->config.chunk_bytes,
                                      .memory = memory,
                                      .lossy = bench->config.lossy,
                                      .tensors_alone = mth_bench_tensors_alone(at)};
    const struct mth_checkpoint checkpoints[MTH_RING_BASES] = {pass->bases[0].checkpoint,
                                                               pass->bases[1].checkpoint};
    const struct mth_bytes bases[MTH_RING_BASES] = {mth_loaded_bytes(&pass->bases[0]),
                                                    mth_loaded_bytes(&pass->bases[1])};
    struct mth_bytes container = {pass->container.data, pass->container.n_bytes};
    struct mth_coder *coder;
    int status = mth_coder_create(&config, &coder, err);
    if (status)
        return status;
    if (phase == MTH_PHASE_COMPRESS)
        status = mth_coder_encode(coder, at->cells[0].pipeline, &pass->input.checkpoint, checkpoints,
                                  pass->n_bases, pass->container.data, pass->container.capacity_bytes,
                                  &pass->container.n_bytes, NULL, err);
    else
        status = mth_coder_decode(coder, container, bases, pass->n_bases, pass->restored,
                                  pass->input.bytes.n_bytes, err);
    mth_coder_destroy(coder);
    if (!status && phase == MTH_PHASE_DECOMPRESS && !bench->config.lossy &&
        memcmp(pass->restored, pass->input.bytes.data, pass->input.bytes.n_bytes) != 0)
        status = mth_error_set(err, MTH_ERR_CHECKSUM, "what was restored is not the original");
    return status;
}

static void unload(struct pass *pass)
{
    for (size_t k = 0; k < MTH_RING_BASES; k++)
        mth_loaded_close(&pass->bases[k]);
    mth_loaded_close(&pass->input);
    mth_memory_free(pass->memory, pass->container.data);
    mth_memory_free(pass->memory, pass->restored);
    mth_memory_destroy(pass->memory);
}

int mth_resident_pass(const struct mth_bench *bench, const char *phase_name, const char *container,
                      struct mth_error *err)
{
    struct pass pass = {0};
    enum mth_phase phase = strcmp(phase_name, "compress") == 0 ? MTH_PHASE_COMPRESS : MTH_PHASE_DECOMPRESS;
    *err = (struct mth_error){0};
    if (strcmp(phase_name, phase_names[phase]) != 0)
        return mth_error_set(err, MTH_ERR_USAGE, "--one-pass %.40s: there are compress and decompress",
                             phase_name);
    if (!container || bench->n_cases != 1 || bench->cases[0].n_cells != 1 ||
        bench->cases[0].cells[0].unsupported || bench->cases[0].cells[0].peer_command)
        return mth_error_set(err, MTH_ERR_USAGE,
                             "--one-pass takes --container, one checkpoint and one pipeline");
    struct mth_memory *memory = mth_memory_create(0);
    int status = memory ? load(bench, container, phase, &pass, err) : MTH_ERR_NO_MEMORY;
    forget_peak();
    uint64_t before = peak_bytes();
    if (!status)
        status = code(bench, memory, phase, &pass, err);
    uint64_t after = peak_bytes();
    if (!status && phase == MTH_PHASE_COMPRESS)
        status = mth_file_write_all(container,
                                    (struct mth_bytes){pass.container.data, pass.container.n_bytes}, err);
    if (!status)
        printf("%" PRIu64 "\n", after - before);
    if (status && !err->status)
        mth_error_set(err, status, "%s", mth_status_text(status));
    if (pass.memory)
        unload(&pass);
    mth_memory_destroy(memory);
    return status;
}

/* One process: its arguments are those of the cell's row, and which pass. */
static int measure_phase(const struct mth_bench *bench, struct mth_bench_cell *cell, enum mth_phase phase,
                         const char *container, struct mth_error *err)
{
    const char *const more[] = {"--one-pass", phase_names[phase], "--container", container};
    struct mth_arguments list;
    struct mth_error inner;
    char told[64] = "", *end;
    int status = mth_bench_arguments(bench, cell, &list);
    for (size_t i = 0; !status && i < sizeof more / sizeof more[0]; i++)
        status = mth_arguments_add(&list, more[i]);
    if (status) {
        mth_arguments_free(&list);
        return mth_error_set(err, status, "no memory for the arguments");
    }
    char *name = list.items[0];
    list.items[0] = (char *)(uintptr_t)mth_child_self();
    status = mth_child_run((const char *const *)list.items, told, sizeof told, &inner);
    list.items[0] = name;
    mth_arguments_free(&list);
    if (status)
        return mth_error_set(err, status, "--resident: %.80s, %.60s: %.200s", cell->parent->id, cell->spec,
                             inner.text);
    cell->phases[phase].resident_peak_bytes = (size_t)strtoull(told, &end, 10);
    cell->phases[phase].resident_known = end != told;
    return end != told ? MTH_OK : mth_error_set(err, MTH_ERR_INTERNAL, "--resident: a pass told nothing");
}

int mth_resident_measure(const struct mth_bench *bench, struct mth_bench_cell *cell, struct mth_error *err)
{
    const char *directory = getenv("TMPDIR");
    char container[4096];
    snprintf(container, sizeof container, "%.4000s/mithril-resident.XXXXXX", directory ? directory : "/tmp");
    int fd = mkstemp(container);
    if (fd < 0)
        return mth_error_set(err, MTH_ERR_IO, "%s: %s", container, strerror(errno));
    close(fd);
    int status = measure_phase(bench, cell, MTH_PHASE_COMPRESS, container, err);
    if (!status)
        status = measure_phase(bench, cell, MTH_PHASE_DECOMPRESS, container, err);
    unlink(container);
    return status;
}
