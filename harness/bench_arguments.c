/* The command line that measures a cell again; see bench_arguments.h. */
#include "harness/bench_arguments.h"

#include <stdlib.h>
#include <string.h>

struct builder {
    struct mth_arguments *list;
    int status;
};

static void put(struct builder *to, const char *text)
{
    if (!to->status)
        to->status = mth_arguments_add(to->list, text);
}

/* An option and its value; nothing where there is none. */
static void put_option(struct builder *to, const char *name, const char *value)
{
    if (!value)
        return;
    put(to, name);
    put(to, value);
}

static void put_number(struct builder *to, const char *name, unsigned long long value)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", value);
    put_option(to, name, value ? text : NULL);
}

static void put_words(struct builder *to, const char *name, const struct mth_words *words)
{
    for (size_t i = 0; i < words->n_items; i++)
        put_option(to, name, words->items[i]);
}

/* --peer NAME=COMMAND. The spec is peer:NAME. */
static void put_peer(struct builder *to, const struct mth_bench_cell *cell)
{
    size_t n = strlen(cell->spec) + strlen(cell->peer_command) + 2;
    char *value = malloc(n);
    if (!value) {
        to->status = MTH_ERR_NO_MEMORY;
        return;
    }
    snprintf(value, n, "%s=%s", strchr(cell->spec, ':') + 1, cell->peer_command);
    put_option(to, "--peer", value);
    free(value);
}

int mth_bench_arguments(const struct mth_bench *bench, const struct mth_bench_cell *cell,
                        struct mth_arguments *list)
{
    const struct mth_bench_config *config = &bench->config;
    const struct mth_bench_case *at = cell->parent;
    bool user = strcmp(at->class_name, "user") == 0;
    struct builder to = {.list = list};
    char seconds[32];
    *list = (struct mth_arguments){0};
    put(&to, "mithril");
    put(&to, "bench");
    put(&to, user ? at->path : at->id);
    if (config->asked) {
        put_words(&to, "--plugin", &config->asked->plugins);
        put_words(&to, "--define", &config->asked->definitions);
        put_option(&to, "--manifest", config->asked->manifest);
    }
    if (cell->peer_command)
        put_peer(&to, cell);
    else
        put_option(&to, "--pipeline", cell->spec);
    if (user) {
        put_option(&to, "--base", at->base_path);
        put_option(&to, "--base", at->older_path);
        put_option(&to, "--dtype",
                   at->raw_dtype != MTH_N_DTYPES ? mth_dtype_info(at->raw_dtype)->name : NULL);
    }
    put_number(&to, "--threads", at->n_threads);
    put_number(&to, "--rounds", config->rounds);
    put_number(&to, "--seed", config->seed);
    put_number(&to, "--chunk", config->chunk_bytes);
    put_number(&to, "--cache", config->llc_bytes == config->llc_real_bytes ? 0 : config->llc_bytes);
    put_option(&to, "--files", config->files_asked);
    if (cell->stats.loss.is_lossy)
        put(&to, "--lossy");
    if (config->resident)
        put(&to, "--resident");
    if (config->latency)
        put(&to, "--latency");
    snprintf(seconds, sizeof seconds, "%g", config->cell_seconds);
    put_option(&to, "--seconds", seconds);
    return to.status;
}
