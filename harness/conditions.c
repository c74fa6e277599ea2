/* What the system does beside a measurement; see conditions.h. */
#include "harness/conditions.h"

#include "harness/bench.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PROCESSORS = 1024, LINE_BYTES = 512 };

static FILE *open_under(const char *root, const char *path)
{
    char full[512];
    int n = snprintf(full, sizeof full, "%s%s", root, path);
    return n > 0 && (size_t)n < sizeof full ? fopen(full, "r") : NULL;
}

/* The first line of a file, without its newline; false when there is none. */
static bool first_line(const char *root, const char *path, char line[LINE_BYTES])
{
    FILE *file = open_under(root, path);
    bool read = file && fgets(line, LINE_BYTES, file);
    if (file)
        fclose(file);
    if (read)
        line[strcspn(line, "\n")] = '\0';
    return read;
}

/* The number behind a word that a line starts with; 0 where there is no such line. */
static uint64_t number_behind(const char *root, const char *path, const char *word)
{
    char line[LINE_BYTES];
    uint64_t number = 0;
    size_t n = strlen(word);
    FILE *file = open_under(root, path);
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, word, n) == 0 && line[n] == ' ')
            number = strtoull(line + n, NULL, 10);
    }
    if (file)
        fclose(file);
    return number;
}

static void read_processors(const char *root, struct mth_conditions *conditions)
{
    for (unsigned i = 0; i < MAX_PROCESSORS; i++) {
        char path[128], line[LINE_BYTES];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%u/cpufreq/scaling_governor", i);
        bool governed = first_line(root, path, line);
        if (governed && (conditions->governor[0] == '\0' || strcmp(conditions->governor, "performance") == 0))
            snprintf(conditions->governor, sizeof conditions->governor, "%.31s", line);
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%u/thermal_throttle/core_throttle_count", i);
        bool heats = first_line(root, path, line);
        if (heats)
            conditions->n_throttled += strtoull(line, NULL, 10);
        if (!governed && !heats)
            break;
    }
}

static void read_ticks(const char *root, struct mth_conditions *conditions)
{
    enum { STEAL = 7, N_FIELDS = 8 }; /* user nice system idle iowait irq softirq steal */
    char line[LINE_BYTES];
    if (!first_line(root, "/proc/stat", line) || strncmp(line, "cpu ", 4) != 0)
        return;
    char *at = line + 4;
    for (int i = 0; i < N_FIELDS; i++) {
        uint64_t ticks = strtoull(at, &at, 10);
        conditions->all_ticks += ticks;
        if (i == STEAL)
            conditions->steal_ticks = ticks;
    }
}

void mth_conditions_read(const char *root, struct mth_conditions *conditions)
{
    char line[LINE_BYTES];
    *conditions = (struct mth_conditions){0};
    read_processors(root, conditions);
    read_ticks(root, conditions);
    conditions->n_throttled += number_behind(root, "/sys/fs/cgroup/cpu.stat", "nr_throttled");
    conditions->n_swapped =
        number_behind(root, "/proc/vmstat", "pswpin") + number_behind(root, "/proc/vmstat", "pswpout");
    if (first_line(root, "/proc/loadavg", line))
        conditions->load = strtod(line, NULL);
}

const char *mth_conditions_root(void)
{
    const char *root = getenv("MTH_SYSTEM_ROOT");
    return root ? root : "";
}

static bool governor_varies(const struct mth_conditions *conditions)
{
    return conditions->governor[0] && strcmp(conditions->governor, "performance") != 0;
}

uint32_t mth_conditions_flags(const struct mth_conditions *before, const struct mth_conditions *after)
{
    uint32_t flags = 0;
    uint64_t stolen = after->steal_ticks - before->steal_ticks, all = after->all_ticks - before->all_ticks;
    if (governor_varies(before) || governor_varies(after))
        flags |= MTH_CELL_GOVERNOR;
    if (after->n_throttled > before->n_throttled)
        flags |= MTH_CELL_THROTTLED;
    if (stolen > 0 && stolen * 100 > all)
        flags |= MTH_CELL_STOLEN;
    if (after->n_swapped > before->n_swapped)
        flags |= MTH_CELL_SWAPPED;
    return flags;
}

bool mth_conditions_print(const struct mth_conditions *now, unsigned n_processors, FILE *out)
{
    bool any = false;
    if (governor_varies(now)) {
        fprintf(out, "the governor of the processors' frequency is %s, not performance\n", now->governor);
        any = true;
    }
    if (now->all_ticks > 0 && now->steal_ticks * 100 > now->all_ticks) {
        fprintf(out,
                "a hypervisor gave %.1f %% of the processors' time to others, since the system started\n",
                100 * (double)now->steal_ticks / (double)now->all_ticks);
        any = true;
    }
    if (now->n_throttled > 0) {
        fprintf(out,
                "processors were slowed down %" PRIu64
                " times, by heat or by a quota, since the system started\n",
                now->n_throttled);
        any = true;
    }
    if (now->n_swapped > 0) {
        fprintf(out, "%" PRIu64 " pages were swapped since the system started\n", now->n_swapped);
        any = true;
    }
    if (now->load > 0.5 * n_processors) {
        fprintf(out, "%.1f threads were busy over the last minute, on %u processors\n", now->load,
                n_processors);
        any = true;
    }
    return any;
}
