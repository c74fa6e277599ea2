/*
 * What a policy and a pipeline cost on a run: a chain is made of it in a directory of its own, every step is restored and
 * compared with its original (where it is lossy, with what it was quantized to), and what that takes is noted. docs/chain.md tells what each figure means.
 */
#ifndef MTH_HARNESS_CHAIN_COMPARE_H
#define MTH_HARNESS_CHAIN_COMPARE_H

#include "harness/step_files.h"
#include "pipeline/mithril.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Restoring one step. */
struct mth_chain_restored {
    uint64_t number, stored_bytes;
    uint64_t n_links, read_bytes; /* containers of the steps below it and its own */
    /* Medians of the rounds: of all of it, and of its own link alone, its base's original at hand. */
    uint64_t ns, cpu_ns, link_ns, link_cpu_ns;
    /* Medians too: all of it in percent of the sum of its links, each in the same round. Of wall time, of processor time. */
    double pct_links, pct_links_cpu;
    uint64_t heap_bytes;
};

enum { MTH_CHAIN_ROUNDS = 5 };

struct mth_chain_cell {
    const char *policy, *spec;     /* as asked; borrowed */
    char *spec_alone, *spec_delta; /* resolved; NULL where there is none */
    bool verified, unsupported;
    struct mth_error err; /* why not */
    struct mth_chain_restored *steps;
    size_t n_steps, n_full;
    double pct_links, pct_links_cpu;
    uint64_t raw_bytes, stored_bytes;
    uint64_t written_bytes;               /* containers, and every manifest on the way */
    uint64_t kept_bytes, kept_peak_bytes; /* what the steps to keep stand on: at the end, and at most */
    uint64_t add_ns;
    struct mth_loss loss; /* of all steps */
};

struct mth_chain_comparison {
    const struct mth_step_files *files;
    const char *directory; /* where chains are made for the time being */
    const char *keep;      /* rules of what is kept */
    enum mth_dtype dtype;
    size_t n_threads;
    size_t memory_bytes; /* 0: no limit */
    bool lossy;          /* lossy pipelines may be compared */
    int (*progress)(void *arg, uint64_t n_done, uint64_t n_total);
    void *progress_arg;
};

/*
 * Measure one cell, whose policy and spec are set. What goes wrong with it is told in the cell.
 * Errors: MTH_ERR_CANCELLED, MTH_ERR_NO_MEMORY, MTH_ERR_IO where the directory fails. Free the cell also then.
 */
int mth_chain_measure(const struct mth_chain_comparison *comparison, struct mth_chain_cell *cell,
                      struct mth_error *err);
void mth_chain_cell_free(struct mth_chain_cell *cell);

/* The step that takes longest to restore; means over all steps, of n_links the sum. The cell has steps. */
size_t mth_chain_worst(const struct mth_chain_cell *cell);
struct mth_chain_restored mth_chain_mean(const struct mth_chain_cell *cell);
/* What restoring takes in percent of the sums of the links: medians of the rounds. */
struct mth_chain_pct {
    double wall, cpu;             /* of all steps together */
    double worst_wall, worst_cpu; /* of the step that has most of each */
};
struct mth_chain_pct mth_chain_pct_links(const struct mth_chain_cell *cell);

#endif
