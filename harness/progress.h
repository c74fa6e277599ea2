/* How far a long command is: a bar that is drawn over itself on a terminal, plain lines elsewhere. On standard error. */
#ifndef MTH_HARNESS_PROGRESS_H
#define MTH_HARNESS_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

struct mth_progress {
    bool terminal;
    bool quiet;
    char last[64]; /* the label of the last plain line */
};

void mth_progress_begin(struct mth_progress *progress, bool quiet);
/* done of total parts, and what is being done. On a terminal at most a few times a second matter: call it freely. */
void mth_progress_show(struct mth_progress *progress, size_t done, size_t total, const char *label);
/* Takes the bar away. */
void mth_progress_end(struct mth_progress *progress);

#endif
