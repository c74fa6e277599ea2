/* Output files; see output.h. */
#include "harness/output.h"

#include "base/checked.h"
#include "base/file.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Between two pieces of this size an interrupt is noticed. */
enum { PIECE_BYTES = 8 << 20 };

int mth_output_check(const char *path, bool force, const char *const *inputs, size_t n_inputs,
                     struct mth_error *err)
{
    struct stat there, input;
    if (strcmp(path, "-") == 0)
        return MTH_OK;
    if (stat(path, &there) != 0)
        return errno == ENOENT ? MTH_OK : mth_error_set(err, MTH_ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(there.st_mode))
        return mth_error_set(err, MTH_ERR_IO, "%s: is there and is not a regular file", path);
    for (size_t i = 0; i < n_inputs; i++) {
        if (inputs[i] && stat(inputs[i], &input) == 0 && input.st_dev == there.st_dev &&
            input.st_ino == there.st_ino)
            return mth_error_set(err, MTH_ERR_USAGE, "%s: is an input, it can not be the output too", path);
    }
    if (!force)
        return mth_error_set(err, MTH_ERR_USAGE,
                             "%s: is there already; -f overwrites it, -o writes elsewhere", path);
    return MTH_OK;
}

static volatile sig_atomic_t interrupted;

static void note_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
enum { N_SIGNALS = sizeof signals / sizeof signals[0] };
static struct sigaction before[N_SIGNALS + 1];

void mth_output_watch(void)
{
    struct sigaction note = {.sa_handler = note_interrupt}, ignore = {.sa_handler = SIG_IGN};
    interrupted = 0;
    for (size_t i = 0; i < N_SIGNALS; i++) {
        sigaction(signals[i], &note, &before[i]);
        /* Who starts us so that we do not hear a signal (nohup, a job in the background) means it. */
        if (before[i].sa_handler == SIG_IGN)
            sigaction(signals[i], &before[i], NULL);
    }
    /* A pipe that nobody reads any more is an error with a line, like any other. */
    sigaction(SIGPIPE, &ignore, &before[N_SIGNALS]);
}

void mth_output_unwatch(void)
{
    for (size_t i = 0; i < N_SIGNALS; i++)
        sigaction(signals[i], &before[i], NULL);
    sigaction(SIGPIPE, &before[N_SIGNALS], NULL);
}

bool mth_output_interrupted(void)
{
    return interrupted != 0;
}

int mth_output_open(const char *path, struct mth_output *output, struct mth_error *err)
{
    *output = (struct mth_output){.path = path};
    mth_output_watch();
    if (strcmp(path, "-") == 0) {
        mth_sink_descriptor("standard output", STDOUT_FILENO, &output->sink);
        return MTH_OK;
    }
    int status = mth_file_writer_open(path, &output->writer, err);
    if (status)
        mth_output_unwatch();
    else
        mth_sink_writer(path, output->writer, &output->sink);
    return status;
}

int mth_output_close(struct mth_output *output, int status, const struct mth_file_attributes *attributes,
                     struct mth_error *err)
{
    if (!status && interrupted)
        status = mth_error_set(err, MTH_ERR_CANCELLED, "interrupted, nothing was written");
    if (output->writer) {
        if (!status && attributes && attributes->known)
            status = mth_file_writer_set_attributes(output->writer, attributes->mode, attributes->mtime_s,
                                                    attributes->mtime_ns, err);
        if (status)
            mth_file_writer_abort(output->writer);
        else
            status = mth_file_writer_commit(output->writer, err);
    }
    mth_output_unwatch();
    return status;
}

int mth_output_write(const char *path, struct mth_bytes content, struct mth_error *err)
{
    struct mth_output output;
    int status = mth_output_open(path, &output, err);
    if (status)
        return status;
    for (size_t at = 0; !status && at < content.n_bytes && !interrupted; at += PIECE_BYTES)
        status = mth_sink_put(&output.sink, content.data + at,
                              mth_size_min(PIECE_BYTES, content.n_bytes - at), err);
    return mth_output_close(&output, status, NULL, err);
}

int mth_output_finish(struct mth_error *err)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        return mth_error_set(err, MTH_ERR_IO, "cannot write to standard output");
    return MTH_OK;
}
