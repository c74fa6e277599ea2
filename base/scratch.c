/* Files without a name; see scratch.h. */
#define _GNU_SOURCE /* O_TMPFILE, on Linux alone */
#include "base/scratch.h"

#include "base/checked.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One system call moves at most this much. */
enum { PIECE_BYTES = 8 << 20, PATH_BYTES = 4096 };

/* Where there are no files without a name it has one for a moment. */
static int open_in(const char *directory)
{
    char path[PATH_BYTES];
#ifdef O_TMPFILE
    int unnamed = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (unnamed >= 0)
        return unnamed;
#endif
    int length = snprintf(path, sizeof path, "%s/" MTH_SCRATCH_PREFIX "XXXXXX", directory);
    if (length < 0 || (size_t)length >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = mkstemp(path);
    if (fd >= 0)
        unlink(path);
    return fd;
}

int mth_scratch_open(const char *directory, const char *name, struct mth_scratch *scratch,
                     struct mth_error *err)
{
    const char *temporary = getenv("TMPDIR");
    if (!directory)
        directory = temporary && *temporary ? temporary : "/tmp";
    *scratch = (struct mth_scratch){.name = name, .fd = open_in(directory)};
    atomic_init(&scratch->failed, MTH_OK);
    if (scratch->fd < 0)
        return mth_error_set(err, MTH_ERR_IO, "%s: cannot be kept in a temporary file in %s: %s", name,
                             directory, strerror(errno));
    return MTH_OK;
}

static int put_at(void *state, uint64_t offset, const void *data, size_t n_bytes, struct mth_error *err)
{
    struct mth_scratch *scratch = state;
    const uint8_t *p = data;
    while (n_bytes > 0) {
        ssize_t put = pwrite(scratch->fd, p, mth_size_min(n_bytes, PIECE_BYTES), (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            atomic_store(&scratch->failed, MTH_ERR_IO);
            return mth_error_set(err, MTH_ERR_IO, "%s: cannot write its temporary file: %s", scratch->name,
                                 strerror(errno));
        }
        p += put;
        offset += (uint64_t)put;
        n_bytes -= (size_t)put;
    }
    return MTH_OK;
}

void mth_scratch_sink(struct mth_scratch *scratch, struct mth_sink *sink)
{
    *sink = (struct mth_sink){.name = scratch->name, .write_at = put_at, .state = scratch, .fd = -1};
}

int mth_scratch_source(const struct mth_scratch *scratch, struct mth_source *source, struct mth_error *err)
{
    struct stat st;
    if (fstat(scratch->fd, &st) != 0)
        return mth_error_set(err, MTH_ERR_IO, "%s: cannot look at its temporary file: %s", scratch->name,
                             strerror(errno));
    *source = (struct mth_source){.name = scratch->name, .n_bytes = (uint64_t)st.st_size, .fd = scratch->fd};
    return MTH_OK;
}

void mth_scratch_close(struct mth_scratch *scratch)
{
    if (scratch->fd >= 0)
        close(scratch->fd);
    scratch->fd = -1;
}
