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

/* The number behind a word that a line starts with; 0 where there is no such line, else *told is set. */
static uint64_t number_behind(const char *root, const char *path, const char *word, bool *told)
{
    char line[LINE_BYTES];
    uint64_t number = 0;
    size_t n = strlen(word);
    FILE *file = open_under(root, path);
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, word, n) != 0 || line[n] != ' ')
            continue;
        number = strtoull(line + n, NULL, 10);
        *told = true;
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
        conditions->tells_throttled |= heats;
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
    *conditions = (struct mth_conditions){.load = -1};
    read_processors(root, conditions);
    read_ticks(root, conditions);
    conditions->n_throttled +=
        number_behind(root, "/sys/fs/cgroup/cpu.stat", "nr_throttled", &conditions->tells_throttled);
    conditions->n_swapped = number_behind(root, "/proc/vmstat", "pswpin", &conditions->tells_swapped) +
                            number_behind(root, "/proc/vmstat", "pswpout", &conditions->tells_swapped);
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

static void tell(struct mth_condition *condition, const char *name, bool known, bool against)
{
    *condition = (struct mth_condition){.name = name, .known = known, .against = known && against};
    snprintf(condition->text, sizeof condition->text, "%s", known ? "fine" : "not told by this system");
}

void mth_conditions_list(const struct mth_conditions *now, unsigned n_processors,
                         struct mth_condition list[MTH_N_CONDITIONS])
{
    struct mth_condition *governor = &list[0], *stolen = &list[1], *throttled = &list[2], *swapped = &list[3],
                         *busy = &list[4];
    tell(governor, "governor", now->governor[0] != '\0', governor_varies(now));
    tell(stolen, "stolen", now->all_ticks > 0, now->steal_ticks * 100 > now->all_ticks);
    tell(throttled, "throttled", now->tells_throttled, now->n_throttled > 0);
    tell(swapped, "swapped", now->tells_swapped, now->n_swapped > 0);
    tell(busy, "busy", now->load >= 0, now->load > 0.5 * n_processors);
    if (governor->against)
        snprintf(governor->text, sizeof governor->text,
                 "the governor of the processors' frequency is %s, not performance", now->governor);
    if (stolen->against)
        snprintf(stolen->text, sizeof stolen->text,
                 "a hypervisor gave %.1f %% of the processors' time to others, since the system started",
                 100 * (double)now->steal_ticks / (double)now->all_ticks);
    if (throttled->against)
        snprintf(throttled->text, sizeof throttled->text,
                 "processors were slowed down %" PRIu64
                 " times, by heat or by a quota, since the system started",
                 now->n_throttled);
    if (swapped->against)
        snprintf(swapped->text, sizeof swapped->text,
                 "%" PRIu64 " pages were swapped since the system started", now->n_swapped);
    if (busy->against)
        snprintf(busy->text, sizeof busy->text,
                 "%.1f threads were busy over the last minute, on %u processors", now->load, n_processors);
}
