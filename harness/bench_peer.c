/* Cells of peers; see bench_peer.h. */
#include "harness/bench_peer.h"

#include "base/checked.h"
#include "harness/clock.h"
#include "harness/peer.h"

#include <stdlib.h>
#include <string.h>

struct mth_bench_peer {
    struct mth_peer *process[MTH_N_PHASES];
    struct mth_bytes input;
    const struct mth_bytes *base; /* NULL: none */
    struct mth_buffer compressed; /* by the first pass */
    struct mth_buffer fetched;
    size_t copies[MTH_N_PHASES]; /* passes in a sample */
};

struct first_pass {
    uint64_t ns[MTH_N_PHASES];
    uint64_t setup_ns[MTH_N_PHASES];
};

static int allocate(struct mth_bench_peer *peer, struct mth_bytes input)
{
    /* Room for a peer that expands; one that doubles is no compressor. */
    size_t capacity;
    if (!mth_size_mul(input.n_bytes, 2, &capacity) || !mth_size_add(capacity, 1 << 20, &capacity))
        return MTH_ERR_NO_MEMORY;
    peer->input = input;
    peer->compressed = (struct mth_buffer){.data = malloc(capacity), .capacity_bytes = capacity};
    peer->fetched = (struct mth_buffer){.data = malloc(capacity), .capacity_bytes = capacity};
    return peer->compressed.data && peer->fetched.data ? MTH_OK : MTH_ERR_NO_MEMORY;
}

static int compare(const struct mth_bench_peer *peer, struct mth_error *err)
{
    if (peer->fetched.n_bytes != peer->input.n_bytes)
        return mth_error_set(err, MTH_ERR_CHECKSUM, "the peer restored %zu bytes of %zu",
                             peer->fetched.n_bytes, peer->input.n_bytes);
    if (peer->input.n_bytes && memcmp(peer->fetched.data, peer->input.data, peer->input.n_bytes) != 0)
        return mth_error_set(err, MTH_ERR_CHECKSUM, "what the peer restored is not the original");
    return MTH_OK;
}

/* A process, its input, and its first pass, whose output goes to a buffer. */
static int open_phase(struct mth_bench_peer *peer, const struct mth_peer_config *config,
                      struct mth_bytes data, struct mth_buffer *output, struct first_pass *first,
                      struct mth_error *err)
{
    enum mth_phase phase = config->role == MTH_PEER_COMPRESS ? MTH_PHASE_COMPRESS : MTH_PHASE_DECOMPRESS;
    uint64_t cpu_ns, begin = mth_clock_ns();
    int status = mth_peer_start(config, &peer->process[phase], err);
    first->setup_ns[phase] = mth_clock_ns() - begin;
    if (!status && peer->base)
        status = mth_peer_send_base(peer->process[phase], *peer->base, err);
    if (!status)
        status = mth_peer_send(peer->process[phase], data, err);
    if (!status)
        status = mth_peer_pass(peer->process[phase], 0, 1, &first->ns[phase], &cpu_ns, err);
    return status ? status : mth_peer_fetch(peer->process[phase], 0, output, err);
}

static int take_identity(struct mth_bench_cell *cell, const struct mth_bench_peer *peer,
                         struct mth_error *err)
{
    const char *identity = mth_peer_identity(peer->process[MTH_PHASE_COMPRESS]);
    if (strcmp(identity, mth_peer_identity(peer->process[MTH_PHASE_DECOMPRESS])) != 0)
        return mth_error_set(err, MTH_ERR_LIBRARY, "the peer's two processes call themselves by two names");
    size_t n = strlen(identity) + sizeof "peer:";
    char *text = malloc(n);
    if (!text)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a peer");
    snprintf(text, n, "peer:%s", identity);
    free(cell->resolved);
    cell->resolved = text;
    return MTH_OK;
}

static int open_both(struct mth_bench_peer *peer, struct mth_peer_config config, struct first_pass *first,
                     struct mth_error *err)
{
    config.role = MTH_PEER_COMPRESS;
    int status = open_phase(peer, &config, peer->input, &peer->compressed, first, err);
    if (status)
        return status;
    struct mth_bytes compressed = {peer->compressed.data, peer->compressed.n_bytes};
    config.role = MTH_PEER_DECOMPRESS;
    status = open_phase(peer, &config, compressed, &peer->fetched, first, err);
    return status ? status : compare(peer, err);
}

int mth_bench_peer_prepare(const struct mth_bench_config *config, const struct mth_ring *ring,
                           struct mth_bytes input, const struct mth_bytes *base, enum mth_dtype dtype,
                           struct mth_bench_cell *cell, struct mth_bench_peer **out, struct mth_error *err)
{
    struct mth_bench_peer *peer = calloc(1, sizeof *peer);
    struct first_pass first = {0};
    struct mth_peer_config start = {.command = cell->peer_command,
                                    .n_threads = cell->parent->n_threads,
                                    .n_slots = ring->n_slots,
                                    .sweep_bytes = ring->sweep_bytes,
                                    .dtype = mth_dtype_info(dtype)->name,
                                    .element_bytes = mth_dtype_lane_bytes(dtype),
                                    .limit_seconds = config->peer_seconds};
    *out = peer;
    if (!peer || allocate(peer, input) || mth_bench_allocate_samples(cell, config->rounds))
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a peer");
    peer->base = base;
    int status = open_both(peer, start, &first, err);
    cell->unsupported = status == MTH_ERR_NOT_FOUND || status == MTH_ERR_UNSUPPORTED;
    if (!status)
        status = take_identity(cell, peer, err);
    if (status)
        return status;
    for (size_t p = 0; p < MTH_N_PHASES; p++) {
        cell->phases[p].setup_ns = (double)first.setup_ns[p] + (double)first.ns[p];
        peer->copies[p] = mth_bench_copies_for((double)first.ns[p], ring->n_slots);
        mth_bench_begin_warm_up(cell, (enum mth_phase)p, (double)first.ns[p]);
    }
    cell->stored_bytes = peer->compressed.n_bytes;
    cell->ratio = cell->stored_bytes ? (double)input.n_bytes / (double)cell->stored_bytes : 0;
    cell->verified = true;
    return MTH_OK;
}

/* Compares what the last sample of a phase made. */
static int check(struct mth_bench_peer *peer, struct mth_bench_cell *cell, enum mth_phase phase, size_t first,
                 struct mth_error *err)
{
    for (size_t i = 0; i < peer->copies[phase]; i++) {
        int status = mth_peer_fetch(peer->process[phase], first + i, &peer->fetched, err);
        if (!status && phase == MTH_PHASE_DECOMPRESS)
            status = compare(peer, err);
        if (status)
            return status;
        bool same = peer->fetched.n_bytes == peer->compressed.n_bytes &&
                    memcmp(peer->fetched.data, peer->compressed.data, peer->compressed.n_bytes) == 0;
        if (phase == MTH_PHASE_COMPRESS && !same)
            cell->phases[phase].flags |= MTH_CELL_NONDETERMINISTIC;
    }
    return MTH_OK;
}

int mth_bench_peer_sample(struct mth_bench_peer *peer, struct mth_bench_cell *cell, struct mth_ring *ring,
                          double memcpy_ns, struct mth_error *err)
{
    size_t first = mth_ring_take(
        ring, mth_size_max(peer->copies[MTH_PHASE_COMPRESS], peer->copies[MTH_PHASE_DECOMPRESS]));
    for (size_t p = 0; p < MTH_N_PHASES; p++) {
        enum mth_phase phase = (enum mth_phase)p;
        uint64_t wall_ns, cpu_ns;
        int status = mth_peer_pass(peer->process[p], first, peer->copies[p], &wall_ns, &cpu_ns, err);
        if (status)
            return status;
        mth_bench_add_sample(cell, phase, wall_ns, cpu_ns, peer->copies[p], memcpy_ns);
        status = check(peer, cell, phase, first, err);
        if (status)
            return status;
    }
    return MTH_OK;
}

/* ---- resident memory ---- */

static int measure_resident(const struct mth_peer_config *config, struct mth_bytes data,
                            const struct mth_bytes *base, struct mth_buffer *output, uint64_t *taken,
                            bool *known, struct mth_error *err)
{
    struct mth_peer *peer;
    uint64_t loaded = 0, peak = 0, wall_ns, cpu_ns;
    int status = mth_peer_start(config, &peer, err);
    if (status)
        return status;
    loaded = mth_peer_resident_bytes(peer, MTH_RESIDENT_NOW);
    if (base)
        status = mth_peer_send_base(peer, *base, err);
    if (!status)
        status = mth_peer_send(peer, data, err);
    if (!status)
        status = mth_peer_pass(peer, 0, 1, &wall_ns, &cpu_ns, err);
    /* Before its output is asked for: handing it over may copy it. */
    if (!status)
        peak = mth_peer_resident_bytes(peer, MTH_RESIDENT_PEAK);
    if (!status)
        status = mth_peer_fetch(peer, 0, output, err);
    mth_peer_stop(peer);
    uint64_t buffers = data.n_bytes + output->n_bytes + (base ? base->n_bytes : 0);
    *known = !status && loaded > 0 && peak >= loaded;
    *taken = *known && peak - loaded > buffers ? peak - loaded - buffers : 0;
    return status;
}

int mth_bench_peer_resident(const struct mth_bench_config *config, struct mth_bytes input,
                            const struct mth_bytes *base, enum mth_dtype dtype, struct mth_bench_cell *cell,
                            struct mth_error *err)
{
    struct mth_bench_peer buffers = {0};
    struct mth_peer_config start = {.command = cell->peer_command,
                                    .role = MTH_PEER_COMPRESS,
                                    .n_threads = cell->parent->n_threads,
                                    .n_slots = 1,
                                    .dtype = mth_dtype_info(dtype)->name,
                                    .element_bytes = mth_dtype_lane_bytes(dtype),
                                    .limit_seconds = config->peer_seconds};
    struct mth_buffer *outputs[MTH_N_PHASES] = {&buffers.compressed, &buffers.fetched};
    struct mth_bytes data = input;
    struct mth_error ignored;
    int status = allocate(&buffers, input);
    if (status)
        mth_error_set(err, status, "no memory for a peer");
    for (size_t p = 0; !status && p < MTH_N_PHASES; p++) {
        uint64_t taken;
        bool known;
        start.role = p == MTH_PHASE_COMPRESS ? MTH_PEER_COMPRESS : MTH_PEER_DECOMPRESS;
        if (measure_resident(&start, data, base, outputs[p], &taken, &known, &ignored))
            break;
        cell->phases[p].resident_peak_bytes = (size_t)taken;
        cell->phases[p].resident_known = known;
        data = (struct mth_bytes){outputs[p]->data, outputs[p]->n_bytes};
    }
    free(buffers.compressed.data);
    free(buffers.fetched.data);
    return status;
}

void mth_bench_peer_close(struct mth_bench_peer *peer)
{
    if (!peer)
        return;
    for (size_t p = 0; p < MTH_N_PHASES; p++)
        mth_peer_stop(peer->process[p]);
    free(peer->compressed.data);
    free(peer->fetched.data);
    free(peer);
}

static char *copy_text(const char *prefix, const char *text, size_t n_text)
{
    size_t n_prefix = strlen(prefix);
    char *copy = malloc(n_prefix + n_text + 1);
    if (!copy)
        return NULL;
    memcpy(copy, prefix, n_prefix);
    memcpy(copy + n_prefix, text, n_text);
    copy[n_prefix + n_text] = '\0';
    return copy;
}

static int add_peer(struct mth_bench_case *to, const char *name, size_t n_name, const char *command,
                    struct mth_error *err)
{
    struct mth_bench_cell *grown = realloc(to->cells, (to->n_cells + 1) * sizeof *grown);
    if (!grown)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a cell");
    to->cells = grown;
    struct mth_bench_cell *cell = &grown[to->n_cells++];
    *cell = (struct mth_bench_cell){.spec = copy_text("peer:", name, n_name),
                                    .resolved = copy_text("peer:", name, n_name),
                                    .peer_command = copy_text("", command, strlen(command))};
    if (!cell->spec || !cell->resolved || !cell->peer_command)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "no memory for a cell");
    if (to->older_path) {
        cell->unsupported = true;
        mth_error_set(&cell->error, MTH_ERR_UNSUPPORTED, "a peer takes one base, and here are two");
    }
    return MTH_OK;
}

int mth_bench_add_peers(struct mth_bench_case *to, const char *const *peers, size_t n_peers,
                        struct mth_error *err)
{
    int status = MTH_OK;
    for (size_t i = 0; !status && i < n_peers; i++) {
        size_t n = strspn(peers[i], "abcdefghijklmnopqrstuvwxyz0123456789-");
        if (n == 0 || n > 32 || peers[i][n] != '=' || peers[i][n + 1 + strspn(peers[i] + n + 1, " ")] == '\0')
            return mth_error_set(err, MTH_ERR_USAGE,
                                 "--peer %.100s: must be NAME=COMMAND, the name of at most 32 a-z, 0-9 and -",
                                 peers[i]);
        status = add_peer(to, peers[i], n, peers[i] + n + 1, err);
    }
    return status;
}
