/* Progress of a file; see stream_progress.h. */
#include "harness/stream_progress.h"

#include "harness/clock.h"
#include "harness/output.h"
#include "harness/text.h"

#include <stdio.h>
#include <sys/resource.h>

enum { REDRAW_NS = 100000000 };

void mth_stream_bar_begin(struct mth_stream_bar *bar, const char *name, bool quiet)
{
    *bar = (struct mth_stream_bar){.name = name, .begin_ns = mth_clock_ns()};
    mth_progress_begin(&bar->progress, quiet);
    /* Where nothing can be drawn over itself a file is too small a step for a line. */
    bar->progress.quiet |= !bar->progress.terminal;
}

int mth_stream_bar_show(void *arg, uint64_t n_done, uint64_t n_total)
{
    struct mth_stream_bar *bar = arg;
    char label[MTH_TEXT_BYTES + 64], name[MTH_TEXT_BYTES];
    if (mth_output_interrupted())
        return 1;
    uint64_t now = mth_clock_ns();
    if (bar->progress.quiet || now - bar->last_ns < REDRAW_NS)
        return 0;
    bar->last_ns = now;
    double seconds = (double)(now - bar->begin_ns) * 1e-9;
    double rate = seconds > 0 ? (double)n_done / seconds : 0;
    double left = rate > 0 ? (double)(n_total - n_done) / rate : 0;
    snprintf(label, sizeof label, "%.2f GiB/s, %.0f s left, %s", rate / (double)(1 << 30), left,
             mth_text_name(bar->name, 30, name));
    mth_progress_show(&bar->progress, (size_t)(n_done >> 10), (size_t)(n_total >> 10) + 1, label);
    return 0;
}

uint64_t mth_stream_bar_end(struct mth_stream_bar *bar)
{
    mth_progress_end(&bar->progress);
    return mth_clock_ns() - bar->begin_ns;
}

size_t mth_peak_resident_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (size_t)usage.ru_maxrss << 10 : 0;
}
