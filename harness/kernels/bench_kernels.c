/*
 * bench-kernels: times kernels on their own, in cache, each beside a memcpy of as many bytes.
 *
 *     build/bench-kernels [--elems N] [--rounds N] [--only TEXT] [--json FILE]
 *
 * Rounds interleave all cases in a random order; in each, a case runs often enough for 100 microseconds, and so does the
 * memcpy beside it. What is shown is the median over rounds. Cycles are those of the time stamp counter, which
 * runs at a fixed rate whatever the core does: they compare kernels of one run, not machines.
 */
#include "harness/clock.h"
#include "harness/env.h"
#include "harness/json_writer.h"
#include "harness/kernels/kernel_cases.h"
#include "harness/output.h"
#include "harness/statistics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

enum { DEFAULT_ELEMS = 1 << 16, DEFAULT_ROUNDS = 31, MAX_ROUNDS = 1000, WARM_RUNS = 3 };

static const uint64_t sample_ns = 100000;

static mth_kernel_family *const families[] = {mth_kernel_cases_rans, mth_kernel_cases_ulp,
                                              mth_kernel_cases_tiers, mth_kernel_cases_transforms};

struct arguments {
    size_t n_elems, rounds;
    const char *only, *json;
};

struct timing {
    size_t n_runs; /* in a sample */
    double ns[MAX_ROUNDS], memcpy_ns[MAX_ROUNDS], tsc[MAX_ROUNDS];
    size_t n;
};

static struct mth_kernel_cases cases;
static struct timing *timings;
static uint8_t *copy_from, *copy_to;

bool mth_kernel_case_add(struct mth_kernel_cases *all, struct mth_kernel_case one)
{
    if (all->n == MTH_MAX_KERNEL_CASES)
        return false;
    all->list[all->n++] = one;
    return true;
}

void mth_kernel_exponents(uint8_t *out, size_t n)
{
    uint64_t random = 1;
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = mth_random_next(&random);
        unsigned below = 0, above = (unsigned)(bits >> 60) == 0;
        while (below < 20 && bits >> below & 1)
            below++;
        above += (unsigned)(bits >> 40 & 3) == 0;
        out[i] = (uint8_t)(122 + above - below + (bits >> 50 & 1));
    }
}

static uint64_t read_tsc(void)
{
#if defined(__x86_64__)
    return __rdtsc();
#else
    return 0;
#endif
}

/* The compiler may not leave out copies that nobody reads. */
static void copy_once(size_t n)
{
    memcpy(copy_to, copy_from, n);
    __asm__ volatile("" ::"r"(copy_to) : "memory");
}

/* One round of one case: its runs, then the copies. */
static bool measure(const struct mth_kernel_case *one, struct timing *timing)
{
    bool good = true;
    uint64_t begin_tsc = read_tsc(), begin = mth_clock_ns();
    for (size_t i = 0; i < timing->n_runs; i++)
        good &= one->run(one->data);
    uint64_t middle_tsc = read_tsc(), middle = mth_clock_ns();
    for (size_t i = 0; i < timing->n_runs; i++)
        copy_once(one->n_bytes);
    uint64_t end = mth_clock_ns();
    double n = (double)timing->n_runs;
    timing->ns[timing->n] = (double)(middle - begin) / n;
    timing->tsc[timing->n] = (double)(middle_tsc - begin_tsc) / n;
    timing->memcpy_ns[timing->n++] = (double)(end - middle) / n;
    return good;
}

/* Finds how many runs make a sample, warms up, and checks that the kernel does what it should. */
static bool prepare(const struct mth_kernel_case *one, struct timing *timing)
{
    bool good = true;
    uint64_t best = UINT64_MAX;
    for (size_t i = 0; i < WARM_RUNS; i++) {
        uint64_t begin = mth_clock_ns();
        good &= one->run(one->data);
        uint64_t took = mth_clock_ns() - begin;
        best = took < best ? took : best;
    }
    timing->n_runs = (size_t)(sample_ns / (best ? best : 1)) + 1;
    if (!good || (one->check && !one->check(one->data))) {
        fprintf(stderr, "bench-kernels: %s (%s) gives wrong results\n", one->kernel, one->isa);
        return false;
    }
    return true;
}

static double median_of(const double *samples, size_t n)
{
    static double sorted[MAX_ROUNDS];
    memcpy(sorted, samples, n * sizeof *samples);
    return mth_median(sorted, n);
}

static void print_case(const struct mth_kernel_case *one, const struct timing *timing)
{
    double ns = median_of(timing->ns, timing->n), n = (double)one->n_elems;
    double tsc = median_of(timing->tsc, timing->n), copy = median_of(timing->memcpy_ns, timing->n);
    printf("%-44s %-9s %8.3f %8.3f %9.1f %9.1f %6.0f %%\n", one->kernel, one->isa, ns / n, tsc / n,
           n / ns * 1e9 / 1048576, (double)one->n_bytes / ns * 1e9 / 1073741824, copy / ns * 100);
}

static void write_samples(struct mth_json_writer *w, const char *key, const double *samples, size_t n)
{
    mth_json_begin_array(w, key);
    for (size_t i = 0; i < n; i++)
        mth_json_real(w, NULL, samples[i]);
    mth_json_end(w);
}

static int write_row(struct mth_json_writer *w, const struct mth_kernel_case *one,
                     const struct timing *timing, const char *env_id, size_t index)
{
    struct mth_summary summary;
    char row_id[32];
    double n = (double)one->n_elems;
    int status = mth_summarise(timing->ns, timing->n, index, &summary);
    snprintf(row_id, sizeof row_id, "kernel-%zu", index + 1);
    mth_json_begin_object(w, NULL);
    mth_json_uint(w, "schema", 1);
    mth_json_string(w, "kind", "kernel");
    mth_json_string(w, "row_id", row_id);
    mth_json_string(w, "env_id", env_id);
    mth_json_string(w, "kernel", one->kernel);
    mth_json_string(w, "isa", one->isa);
    mth_json_uint(w, "n_elems", one->n_elems);
    mth_json_uint(w, "raw_bytes", one->n_bytes);
    mth_json_uint(w, "runs_per_sample", timing->n_runs);
    write_samples(w, "samples_ns", timing->ns, timing->n);
    write_samples(w, "memcpy_ns", timing->memcpy_ns, timing->n);
    mth_json_real(w, "median_ns", summary.median);
    mth_json_real(w, "mad_ns", summary.mad);
    mth_json_real(w, "ci_lo_ns", summary.ci_lo);
    mth_json_real(w, "ci_hi_ns", summary.ci_hi);
    mth_json_real(w, "ns_per_elem", summary.median / n);
    if (read_tsc())
        mth_json_real(w, "tsc_per_elem", median_of(timing->tsc, timing->n) / n);
    else
        mth_json_null(w, "tsc_per_elem");
    mth_json_real(w, "pct_memcpy", median_of(timing->memcpy_ns, timing->n) / summary.median * 100);
    mth_json_end(w);
    return status;
}

static int write_rows(const char *path)
{
    struct mth_json_writer w, line;
    struct mth_buffer all = {0};
    struct mth_error err = {0};
    char env_id[MTH_ENV_ID_BYTES];
    int status = 0;
    mth_env_id(env_id);
    mth_json_writer_init(&w);
    mth_json_writer_init(&line);
    for (size_t i = 0; !status && i <= cases.n; i++) {
        const char *text;
        size_t n_bytes;
        mth_json_writer_reset(&line);
        if (i == 0)
            mth_env_row(&line, NULL);
        else
            status = write_row(&line, &cases.list[i - 1], &timings[i - 1], env_id, i - 1);
        if (!status)
            status = mth_json_writer_text(&line, &text, &n_bytes);
        uint8_t *grown = status ? NULL : realloc(all.data, all.n_bytes + n_bytes);
        if (!grown) {
            status = status ? status : MTH_ERR_NO_MEMORY;
            break;
        }
        all.data = grown;
        memcpy(all.data + all.n_bytes, text, n_bytes);
        all.n_bytes += n_bytes;
    }
    if (!status)
        status = mth_output_write(path, (struct mth_bytes){all.data, all.n_bytes}, &err);
    if (status)
        fprintf(stderr, "bench-kernels: %s\n", err.status ? err.text : mth_status_text(status));
    free(all.data);
    mth_json_writer_free(&w);
    mth_json_writer_free(&line);
    return status;
}

static bool parse_count(const char *text, size_t least, size_t most, size_t *out)
{
    char *end;
    unsigned long long n = text ? strtoull(text, &end, 10) : 0;
    if (!text || end == text || *end || n < least || n > most)
        return false;
    *out = (size_t)n;
    return true;
}

static bool parse(int argc, char **argv, struct arguments *arguments)
{
    *arguments = (struct arguments){.n_elems = DEFAULT_ELEMS, .rounds = DEFAULT_ROUNDS};
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(name, "--elems") == 0 && parse_count(value, 64, 1 << 26, &arguments->n_elems))
            arguments->n_elems = arguments->n_elems / 64 * 64;
        else if (strcmp(name, "--rounds") == 0 && parse_count(value, 1, MAX_ROUNDS, &arguments->rounds))
            continue;
        else if (strcmp(name, "--only") == 0 && value)
            arguments->only = value;
        else if (strcmp(name, "--json") == 0 && value)
            arguments->json = value;
        else
            return false;
    }
    return true;
}

/* All cases, or those whose name holds a text. */
static bool collect(const struct arguments *arguments)
{
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        if (!families[i](&cases, arguments->n_elems))
            return false;
    }
    size_t n_kept = 0, most = 1;
    for (size_t i = 0; i < cases.n; i++) {
        if (arguments->only && !strstr(cases.list[i].kernel, arguments->only))
            continue;
        most = cases.list[i].n_bytes > most ? cases.list[i].n_bytes : most;
        cases.list[n_kept++] = cases.list[i];
    }
    cases.n = n_kept;
    timings = calloc(cases.n + 1, sizeof *timings);
    copy_from = calloc(1, most);
    copy_to = calloc(1, most);
    return timings && copy_from && copy_to;
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    size_t order[MTH_MAX_KERNEL_CASES];
    uint64_t random = 1;
    if (!parse(argc, argv, &arguments)) {
        fprintf(stderr, "usage: bench-kernels [--elems N] [--rounds N] [--only TEXT] [--json FILE]\n");
        return 1;
    }
    if (!collect(&arguments)) {
        fprintf(stderr, "bench-kernels: no memory\n");
        return 5;
    }
    for (size_t i = 0; i < cases.n; i++) {
        order[i] = i;
        if (!prepare(&cases.list[i], &timings[i]))
            return 2;
    }
    for (size_t round = 0; round < arguments.rounds; round++) {
        mth_random_shuffle(&random, order, cases.n);
        for (size_t i = 0; i < cases.n; i++) {
            if (!measure(&cases.list[order[i]], &timings[order[i]]))
                return 2;
        }
    }
    printf("%zu elements in cache, %zu rounds; medians\n", arguments.n_elems, arguments.rounds);
    printf("%-44s %-9s %8s %8s %9s %9s %8s\n", "kernel", "isa", "ns/elem", "tsc/elem", "Melem/s", "GiB/s",
           "of memcpy");
    for (size_t i = 0; i < cases.n; i++)
        print_case(&cases.list[i], &timings[i]);
    return arguments.json && write_rows(arguments.json) ? 6 : 0;
}
