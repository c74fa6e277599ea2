/* What a policy and a pipeline cost on a run; see chain_compare.h. */
#include "harness/chain_compare.h"

#include "harness/chain_code.h"
#include "harness/clock.h"
#include "harness/statistics.h"
#include "pipeline/chain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 20, DIRECTORY_BYTES = 4096, PATH_BYTES = DIRECTORY_BYTES + 64 };

/* ---- making the chain ---- */

/* Bytes of the containers that rules keep, and of those that they stand on. */
static int count_kept(const struct mth_chain *chain, const char *rules, uint64_t *n_bytes,
                      struct mth_error *err)
{
    bool *kept = calloc(chain->n_steps, sizeof *kept);
    int status = kept ? mth_chain_keep(chain, rules, kept, err)
                      : mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a chain");
    *n_bytes = 0;
    for (size_t i = chain->n_steps; !status && i-- > 0;) {
        if (!kept[i])
            continue;
        *n_bytes += chain->steps[i].stored_bytes;
        if (chain->steps[i].has_base)
            kept[mth_chain_find(chain, chain->steps[i].base)] = true;
    }
    free(kept);
    return status;
}

static uint64_t manifest_bytes(const char *directory)
{
    struct stat st;
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", directory, MTH_CHAIN_MANIFEST);
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void add_loss(struct mth_loss *sum, const struct mth_loss *loss)
{
    sum->is_lossy |= loss->is_lossy;
    sum->n_elems += loss->n_elems;
    sum->n_rows += loss->n_rows;
    sum->sum_abs += loss->sum_abs;
    sum->sum_l2 += loss->sum_l2;
    sum->max_abs = loss->max_abs > sum->max_abs ? loss->max_abs : sum->max_abs;
}

static int add_all(const struct mth_chain_comparison *comparison, struct mth_chain_coder *coder,
                   struct mth_chain_cell *cell, struct mth_error *err)
{
    const struct mth_chain *chain = &coder->writer.chain;
    enum mth_chain_outcome outcome;
    int status = MTH_OK;
    for (size_t i = 0; !status && i < comparison->files->n_items; i++) {
        const struct mth_step_file *file = &comparison->files->items[i];
        uint64_t begin_ns = mth_clock_ns();
        status = mth_chain_add(coder, file->path, file->step, comparison->dtype, &outcome, err);
        cell->add_ns += mth_clock_ns() - begin_ns;
        if (status)
            return mth_opened_blame(file->path, err);
        const struct mth_chain_step *step = &chain->steps[i];
        cell->raw_bytes += step->raw_bytes;
        cell->stored_bytes += step->stored_bytes;
        cell->n_full += !step->has_base;
        add_loss(&cell->loss, &step->loss);
        cell->written_bytes += step->stored_bytes + manifest_bytes(coder->writer.directory);
        status = count_kept(chain, comparison->keep, &cell->kept_bytes, err);
        if (cell->kept_bytes > cell->kept_peak_bytes)
            cell->kept_peak_bytes = cell->kept_bytes;
    }
    return status;
}

/* ---- restoring it ---- */

/* Is what was restored the original, byte for byte? */
static int compare_bytes(const struct mth_source *restored, const char *path, struct mth_memory *memory,
                         struct mth_error *err)
{
    struct mth_opened original = {0};
    uint8_t *pieces = malloc(2 * PIECE_BYTES);
    int status = pieces ? mth_opened_open_step(&original, path, memory, err)
                        : mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory to compare files");
    uint64_t n_bytes = status ? 0 : original.source.n_bytes;
    bool same = restored->n_bytes == n_bytes;
    for (uint64_t at = 0; !status && same && at < n_bytes; at += PIECE_BYTES) {
        uint64_t left = n_bytes - at;
        size_t n = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
        status = mth_source_read(&original.source, at, pieces, n, err);
        if (!status)
            status = mth_source_read(restored, at, pieces + PIECE_BYTES, n, err);
        same = !status && memcmp(pieces, pieces + PIECE_BYTES, n) == 0;
    }
    mth_opened_close(&original);
    free(pieces);
    if (!status && !same)
        return mth_error_set(err, MTH_ERR_CHECKSUM, "%s: was not restored bit for bit", path);
    return status;
}

/* Is it what the chain says that the step restores to? */
static int compare_digest(const struct mth_source *restored, const struct mth_chain_step *step,
                          struct mth_memory *memory, struct mth_error *err)
{
    struct mth_digest xxh3;
    int status = mth_chain_original_digest(restored, step->is_folder, memory, &xxh3, err);
    if (!status && memcmp(xxh3.bytes, step->xxh3, sizeof step->xxh3) != 0)
        status = mth_error_set(err, MTH_ERR_CHECKSUM, "%s: was not restored to what it was quantized to",
                               step->name);
    return status;
}

struct restore_time {
    double wall_ns, cpu_ns;
};

/* Restores one step as `chain restore` does; or, where its bases' originals are at hand, its own link alone. */
static int restore_one(const struct mth_chain_comparison *comparison, const struct mth_chain *chain,
                       const char *directory, size_t index, const struct mth_chain_at_hand *at_hand,
                       struct restore_time *time, uint64_t *heap_bytes, struct mth_error *err)
{
    struct mth_stream_config config = {.n_threads = comparison->n_threads,
                                       .memory = chain->memory,
                                       .progress = comparison->progress,
                                       .progress_arg = comparison->progress_arg};
    struct mth_scratch scratch;
    struct mth_source restored;
    struct mth_sink sink;
    int status = mth_scratch_open(directory, chain->steps[index].name, &scratch, err);
    if (status)
        return status;
    mth_scratch_sink(&scratch, &sink);
    size_t before = mth_memory_current(chain->memory);
    mth_memory_reset_peak(chain->memory);
    uint64_t begin_cpu_ns = mth_clock_cpu_ns(), begin_ns = mth_clock_ns();
    status = mth_chain_restore(chain, directory, index, at_hand, directory, &sink, &config, NULL, NULL, err);
    *time = (struct restore_time){.wall_ns = (double)(mth_clock_ns() - begin_ns),
                                  .cpu_ns = (double)(mth_clock_cpu_ns() - begin_cpu_ns)};
    *heap_bytes = mth_memory_peak(chain->memory) - before;
    if (!status)
        status = mth_scratch_source(&scratch, &restored, err);
    if (!status && chain->steps[index].loss.is_lossy)
        status = compare_digest(&restored, &chain->steps[index], chain->memory, err);
    else if (!status)
        status = compare_bytes(&restored, comparison->files->items[index].path, chain->memory, err);
    mth_scratch_close(&scratch);
    return status;
}

/* What a lossy step restores to, at hand: its file is something else. */
static int restore_lossy(const struct mth_chain_comparison *comparison, const struct mth_chain *chain,
                         const char *directory, size_t index, struct mth_scratch *scratch,
                         struct mth_source *restored, struct mth_error *err)
{
    struct mth_stream_config config = {.n_threads = comparison->n_threads, .memory = chain->memory};
    struct mth_sink sink;
    int status = mth_scratch_open(directory, chain->steps[index].name, scratch, err);
    if (status)
        return status;
    mth_scratch_sink(scratch, &sink);
    status = mth_chain_restore(chain, directory, index, NULL, directory, &sink, &config, NULL, NULL, err);
    return status ? status : mth_scratch_source(scratch, restored, err);
}

/* The original of a step that others stand on, or what a lossy one restores to. */
struct base_at_hand {
    struct mth_scratch scratch;
    struct mth_source source; /* of what was restored */
    struct mth_opened opened;
};

/* A step's bases, at hand. Close them also where there are none. */
struct bases_at_hand {
    struct base_at_hand bases[2];
    struct mth_chain_given given[2];
    size_t n;
};

static int open_base(const struct mth_chain_comparison *comparison, const struct mth_chain *chain,
                     const char *directory, size_t below, struct bases_at_hand *at_hand,
                     struct mth_error *err)
{
    struct base_at_hand *base = &at_hand->bases[at_hand->n];
    bool is_lossy = chain->steps[below].loss.is_lossy;
    int status =
        is_lossy
            ? restore_lossy(comparison, chain, directory, below, &base->scratch, &base->source, err)
            : mth_opened_open_step(&base->opened, comparison->files->items[below].path, chain->memory, err);
    at_hand->given[at_hand->n++] =
        (struct mth_chain_given){.step = below, .source = is_lossy ? &base->source : &base->opened.source};
    return status;
}

static int open_bases(const struct mth_chain_comparison *comparison, const struct mth_chain *chain,
                      const char *directory, size_t index, struct bases_at_hand *at_hand,
                      struct mth_error *err)
{
    size_t base = mth_chain_base_of(chain, index);
    *at_hand = (struct bases_at_hand){.bases = {{.scratch = {.fd = -1}}, {.scratch = {.fd = -1}}}};
    if (base == chain->n_steps)
        return MTH_OK;
    int status = open_base(comparison, chain, directory, base, at_hand, err);
    if (!status && chain->steps[index].has_older)
        status = open_base(comparison, chain, directory, mth_chain_base_of(chain, base), at_hand, err);
    return status;
}

static void close_bases(struct bases_at_hand *at_hand)
{
    for (size_t i = 0; i < 2; i++) {
        mth_scratch_close(&at_hand->bases[i].scratch);
        mth_opened_close(&at_hand->bases[i].opened);
    }
}

/* A step's times, one a round. links: the sum over all that it stands on, its own included, of the same round. */
struct step_times {
    struct restore_time whole[MTH_CHAIN_ROUNDS], link[MTH_CHAIN_ROUNDS], links[MTH_CHAIN_ROUNDS];
};

/* Times one step in one round, its link and all of it in turn; the steps below it were timed before. */
static int time_step(const struct mth_chain_comparison *comparison, const struct mth_chain *chain,
                     const char *directory, size_t index, size_t round, struct step_times *times,
                     uint64_t *heap_bytes, struct mth_error *err)
{
    struct step_times *own = &times[index];
    struct bases_at_hand bases;
    uint64_t link_heap_bytes;
    int status = open_bases(comparison, chain, directory, index, &bases, err);
    const struct mth_chain_at_hand at_hand = {.given = bases.given, .n_given = bases.n};
    if (!status)
        status = restore_one(comparison, chain, directory, index, &at_hand, &own->link[round],
                             &link_heap_bytes, err);
    if (!status)
        status = restore_one(comparison, chain, directory, index, NULL, &own->whole[round], heap_bytes, err);
    close_bases(&bases);
    if (status)
        return status;
    own->links[round] = own->link[round];
    if (chain->steps[index].has_base) {
        const struct restore_time *below =
            &times[mth_chain_find(chain, chain->steps[index].base)].links[round];
        own->links[round].wall_ns += below->wall_ns;
        own->links[round].cpu_ns += below->cpu_ns;
    }
    return MTH_OK;
}

static struct restore_time median(const struct restore_time times[MTH_CHAIN_ROUNDS])
{
    double wall[MTH_CHAIN_ROUNDS], cpu[MTH_CHAIN_ROUNDS];
    for (size_t i = 0; i < MTH_CHAIN_ROUNDS; i++) {
        wall[i] = times[i].wall_ns;
        cpu[i] = times[i].cpu_ns;
    }
    return (struct restore_time){mth_median(wall, MTH_CHAIN_ROUNDS), mth_median(cpu, MTH_CHAIN_ROUNDS)};
}

static double percent(double whole, double links)
{
    return links > 0 ? 100 * whole / links : 0;
}

/* What disturbs a whole round disturbs both: so the quotient is taken in each, and then the median. */
static struct restore_time median_percent(const struct step_times *times)
{
    struct restore_time percents[MTH_CHAIN_ROUNDS];
    for (size_t i = 0; i < MTH_CHAIN_ROUNDS; i++)
        percents[i] = (struct restore_time){percent(times->whole[i].wall_ns, times->links[i].wall_ns),
                                            percent(times->whole[i].cpu_ns, times->links[i].cpu_ns)};
    return median(percents);
}

static void summarise_step(const struct mth_chain *chain, size_t index, const struct step_times *times,
                           struct mth_chain_restored *step)
{
    struct mth_chain_cost cost = mth_chain_cost_of(chain, index);
    struct restore_time whole = median(times->whole), link = median(times->link), pct = median_percent(times);
    step->number = chain->steps[index].number;
    step->stored_bytes = chain->steps[index].stored_bytes;
    step->n_links = cost.n_links;
    step->read_bytes = cost.stored_bytes;
    step->ns = (uint64_t)whole.wall_ns;
    step->cpu_ns = (uint64_t)whole.cpu_ns;
    step->link_ns = (uint64_t)link.wall_ns;
    step->link_cpu_ns = (uint64_t)link.cpu_ns;
    step->pct_links = pct.wall_ns;
    step->pct_links_cpu = pct.cpu_ns;
}

/* All steps as one: their sums, round by round. */
static void summarise_all(const struct step_times *times, size_t n_steps, struct mth_chain_cell *cell)
{
    struct step_times sum = {0};
    for (size_t i = 0; i < n_steps; i++)
        for (size_t r = 0; r < MTH_CHAIN_ROUNDS; r++) {
            sum.whole[r].wall_ns += times[i].whole[r].wall_ns;
            sum.whole[r].cpu_ns += times[i].whole[r].cpu_ns;
            sum.links[r].wall_ns += times[i].links[r].wall_ns;
            sum.links[r].cpu_ns += times[i].links[r].cpu_ns;
        }
    struct restore_time pct = median_percent(&sum);
    cell->pct_links = pct.wall_ns;
    cell->pct_links_cpu = pct.cpu_ns;
}

/* Rounds over all steps, so that what disturbs the machine for a while spoils one sample of each, not all of one. */
static int restore_all(const struct mth_chain_comparison *comparison, const struct mth_chain *chain,
                       const char *directory, struct mth_chain_cell *cell, struct mth_error *err)
{
    int status = MTH_OK;
    struct step_times *times = calloc(chain->n_steps, sizeof *times);
    cell->steps = calloc(chain->n_steps, sizeof *cell->steps);
    if (!times || !cell->steps)
        status = mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for the steps");
    for (size_t round = 0; !status && round < MTH_CHAIN_ROUNDS; round++)
        for (size_t i = 0; !status && i < chain->n_steps; i++)
            status =
                time_step(comparison, chain, directory, i, round, times, &cell->steps[i].heap_bytes, err);
    if (!status) {
        for (size_t i = 0; i < chain->n_steps; i++)
            summarise_step(chain, i, &times[i], &cell->steps[i]);
        summarise_all(times, chain->n_steps, cell);
        cell->n_steps = chain->n_steps;
    }
    free(times);
    return status;
}

/* ---- a cell ---- */

static char *copy_text(const struct mth_pipeline *pipeline)
{
    return pipeline ? strdup(mth_pipeline_text(pipeline)) : NULL;
}

/* Takes away the chain that was made, and nothing else. */
static void remove_chain(struct mth_chain_coder *coder, const char *directory)
{
    struct mth_error err;
    char path[PATH_BYTES];
    if (coder->writer.chain.memory) {
        coder->writer.chain.n_steps = 0;
        mth_chain_writer_clean(&coder->writer, &err);
    }
    mth_chain_coder_close(coder);
    static const char *const names[] = {MTH_CHAIN_MANIFEST, MTH_CHAIN_LOCK};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    rmdir(directory);
}

/* Is it the machine, not the cell, that failed? */
static bool ends_all(int status)
{
    return status == MTH_ERR_CANCELLED || status == MTH_ERR_NO_MEMORY || status == MTH_ERR_IO ||
           status == MTH_ERR_NOT_FOUND || status == MTH_ERR_LIMIT;
}

static int measure_in(const struct mth_chain_comparison *comparison, const char *directory,
                      struct mth_memory *memory, struct mth_chain_cell *cell, struct mth_error *err)
{
    struct mth_chain_coder coder;
    const struct mth_stream_config config = {.n_threads = comparison->n_threads,
                                             .memory = memory,
                                             .verify = true,
                                             .lossy = comparison->lossy,
                                             .progress = comparison->progress,
                                             .progress_arg = comparison->progress_arg};
    int status = mth_chain_coder_open(&coder, directory, true, cell->policy, cell->spec, &config, &cell->err);
    cell->unsupported = status == MTH_ERR_UNSUPPORTED || status == MTH_ERR_SPEC;
    cell->spec_alone = copy_text(coder.alone);
    cell->spec_delta = copy_text(coder.delta);
    if (!status)
        status = add_all(comparison, &coder, cell, &cell->err);
    /* What it holds of originals is not part of what restoring takes. */
    mth_chain_hand_close(&coder.hand);
    if (!status)
        status = restore_all(comparison, &coder.writer.chain, directory, cell, &cell->err);
    remove_chain(&coder, directory);
    cell->verified = !status;
    if (!ends_all(status))
        return MTH_OK;
    *err = cell->err;
    return status;
}

int mth_chain_measure(const struct mth_chain_comparison *comparison, struct mth_chain_cell *cell,
                      struct mth_error *err)
{
    char directory[DIRECTORY_BYTES];
    struct mth_memory *memory = mth_memory_create(comparison->memory_bytes);
    if (!memory)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory");
    int n = snprintf(directory, sizeof directory, "%s/mithril-chain.XXXXXX", comparison->directory);
    int status = MTH_OK;
    if (n < 0 || (size_t)n >= sizeof directory || !mkdtemp(directory))
        status = mth_error_set(err, MTH_ERR_IO, "%s: cannot make a directory there: %s",
                               comparison->directory, strerror(errno));
    else
        status = measure_in(comparison, directory, memory, cell, err);
    mth_memory_destroy(memory);
    return status;
}

void mth_chain_cell_free(struct mth_chain_cell *cell)
{
    free(cell->spec_alone);
    free(cell->spec_delta);
    free(cell->steps);
}

/* ---- what is told of its steps ---- */

size_t mth_chain_worst(const struct mth_chain_cell *cell)
{
    size_t worst = 0;
    for (size_t i = 1; i < cell->n_steps; i++)
        if (cell->steps[i].ns > cell->steps[worst].ns)
            worst = i;
    return worst;
}

struct mth_chain_restored mth_chain_mean(const struct mth_chain_cell *cell)
{
    struct mth_chain_restored mean = {0};
    size_t n = cell->n_steps ? cell->n_steps : 1;
    for (size_t i = 0; i < cell->n_steps; i++) {
        mean.read_bytes += cell->steps[i].read_bytes;
        mean.ns += cell->steps[i].ns;
        mean.n_links += cell->steps[i].n_links;
        mean.heap_bytes += cell->steps[i].heap_bytes;
    }
    mean.read_bytes /= n;
    mean.ns /= n;
    mean.heap_bytes /= n;
    return mean; /* n_links stays a sum: a mean of links is no whole number */
}

struct mth_chain_pct mth_chain_pct_links(const struct mth_chain_cell *cell)
{
    struct mth_chain_pct pct = {.wall = cell->pct_links, .cpu = cell->pct_links_cpu};
    for (size_t i = 0; i < cell->n_steps; i++) {
        const struct mth_chain_restored *step = &cell->steps[i];
        pct.worst_wall = step->pct_links > pct.worst_wall ? step->pct_links : pct.worst_wall;
        pct.worst_cpu = step->pct_links_cpu > pct.worst_cpu ? step->pct_links_cpu : pct.worst_cpu;
    }
    return pct;
}
