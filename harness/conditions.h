/* What the system does beside a measurement: what makes its times less than they seem. */
#ifndef MTH_HARNESS_CONDITIONS_H
#define MTH_HARNESS_CONDITIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Counters since the system started, and what stands now. What the system does not tell is 0 and "". */
struct mth_conditions {
    char governor[32];    /* of the processors' frequency; the first that is not "performance" */
    uint64_t steal_ticks; /* that a hypervisor gave to others */
    uint64_t all_ticks;
    uint64_t n_throttled; /* times that a processor was too hot, or a quota was used up */
    uint64_t n_swapped;   /* pages, in and out */
    double load;          /* runnable threads, over the last minute; -1 when not told */
    bool tells_throttled, tells_swapped;
};

/*
 * Read them, from files of Linux under root ("" for the system itself; another one is for tests).
 * Cost: some small files.
 */
void mth_conditions_read(const char *root, struct mth_conditions *conditions);
/* The root that MTH_SYSTEM_ROOT names, which only tests set; "" without. */
const char *mth_conditions_root(void);

/*
 * What was wrong between two moments, as enum mth_cell_flags: MTH_CELL_GOVERNOR, MTH_CELL_THROTTLED,
 * MTH_CELL_STOLEN (more than 1 % of the time), MTH_CELL_SWAPPED.
 */
uint32_t mth_conditions_flags(const struct mth_conditions *before, const struct mth_conditions *after);

/* One of them as it stands before a run: by the name of its flag ("busy" has none), with a line about it. */
struct mth_condition {
    const char *name;
    bool known, against; /* does it speak against measuring now? */
    char text[160];
};
enum { MTH_N_CONDITIONS = 5 };
void mth_conditions_list(const struct mth_conditions *now, unsigned n_processors,
                         struct mth_condition list[MTH_N_CONDITIONS]);

#endif
