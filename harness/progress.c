/* Progress on standard error; see progress.h. */
#include "harness/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BAR_COLUMNS = 30, LABEL_COLUMNS = 60 };

void mth_progress_begin(struct mth_progress *progress, bool quiet)
{
    *progress = (struct mth_progress){.terminal = isatty(STDERR_FILENO) == 1, .quiet = quiet};
}

void mth_progress_show(struct mth_progress *progress, size_t done, size_t total, const char *label)
{
    char bar[BAR_COLUMNS + 1];
    if (progress->quiet || total == 0)
        return;
    if (!progress->terminal) {
        if (strncmp(progress->last, label, sizeof progress->last - 1) == 0)
            return;
        snprintf(progress->last, sizeof progress->last, "%s", label);
        fprintf(stderr, "[%zu %%] %s\n", 100 * done / total, label);
        return;
    }
    size_t filled = BAR_COLUMNS * done / total;
    for (size_t i = 0; i < BAR_COLUMNS; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[BAR_COLUMNS] = '\0';
    /* Back to the first column, and what an earlier, longer label left is erased. */
    fprintf(stderr, "\r[%s] %3zu %% %.*s\033[K", bar, 100 * done / total, LABEL_COLUMNS, label);
    fflush(stderr);
}

void mth_progress_end(struct mth_progress *progress)
{
    if (progress->terminal && !progress->quiet)
        fprintf(stderr, "\r\033[K");
}
