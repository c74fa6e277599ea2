/* Output files; see output.h. */
#include "harness/output.h"

#include "base/checked.h"
#include "base/file.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Between two pieces of this size an interrupt is noticed. */
enum { PIECE_BYTES = 8 << 20 };

int mth_output_check(const char *path, bool force, const char *const *inputs, size_t n_inputs,
                     struct mth_error *err)
{
    struct stat there, input;
    if (strcmp(path, "-") == 0)
        return mth_error_set(err, MTH_ERR_USAGE, "-o -: standard output is not supported, name a file");
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

static int write_pieces(struct mth_file_writer *writer, struct mth_bytes content, struct mth_error *err)
{
    int status = MTH_OK;
    for (size_t at = 0; !status && at < content.n_bytes; at += PIECE_BYTES) {
        if (interrupted)
            return mth_error_set(err, MTH_ERR_CANCELLED, "interrupted, nothing was written");
        status = mth_file_writer_write(writer, content.data + at,
                                       mth_size_min(PIECE_BYTES, content.n_bytes - at), err);
    }
    return status;
}

int mth_output_write(const char *path, struct mth_bytes content, struct mth_error *err)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    enum { N_SIGNALS = sizeof signals / sizeof signals[0] };
    struct sigaction note = {.sa_handler = note_interrupt}, before[N_SIGNALS];
    struct mth_file_writer *writer;
    interrupted = 0;
    for (size_t i = 0; i < N_SIGNALS; i++) {
        sigaction(signals[i], &note, &before[i]);
        /* Who starts us so that we do not hear a signal (nohup, a job in the background) means it. */
        if (before[i].sa_handler == SIG_IGN)
            sigaction(signals[i], &before[i], NULL);
    }
    int status = mth_file_writer_open(path, &writer, err);
    if (!status) {
        status = write_pieces(writer, content, err);
        if (status)
            mth_file_writer_abort(writer);
        else
            status = mth_file_writer_commit(writer, err);
    }
    for (size_t i = 0; i < N_SIGNALS; i++)
        sigaction(signals[i], &before[i], NULL);
    return status;
}

int mth_output_finish(struct mth_error *err)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        return mth_error_set(err, MTH_ERR_IO, "cannot write to standard output");
    return MTH_OK;
}
