/* Directories that were being made when their process ended; see folder_files.h. */
#define _GNU_SOURCE /* flock */
#include "harness/folder_files.h"

#include "harness/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { N_RANDOM = 6 }; /* letters that mkdtemp chooses */

static bool is_random(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    return strlen(text) == N_RANDOM && strspn(text, letters) == N_RANDOM;
}

bool mth_folder_is_unfinished(const char *name)
{
    size_t n_name = strlen(name), n_end = strlen(MTH_FOLDER_UNFINISHED) + N_RANDOM;
    const char *end = name + n_name - (n_name > n_end ? n_end : n_name);
    return n_name > n_end && strncmp(end, MTH_FOLDER_UNFINISHED, strlen(MTH_FOLDER_UNFINISHED)) == 0 &&
           is_random(end + strlen(MTH_FOLDER_UNFINISHED));
}

/* Who makes a directory holds a lock on it, which ends with the process however that ends. */
static int lock(int fd, bool wait)
{
#ifdef LOCK_EX
    int rc;
    do
        rc = flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB);
    while (rc != 0 && errno == EINTR && wait);
    return rc;
#else
    (void)fd, (void)wait;
    errno = ENOTSUP;
    return -1;
#endif
}

static int open_directory(int parent, const char *name)
{
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static bool is_still_there(int fd, const char *path)
{
    struct stat opened, named;
    return fstat(fd, &opened) == 0 && lstat(path, &named) == 0 && opened.st_ino == named.st_ino &&
           opened.st_dev == named.st_dev;
}

int mth_folder_make_unfinished(const char *path, char **directory, int *held, struct mth_error *err)
{
    enum { MAX_TRIES = 16 };
    int status = MTH_ERR_IO;
    *held = -1;
    *directory = NULL;
    for (size_t i = 0; i < MAX_TRIES && status == MTH_ERR_IO; i++) {
        *directory = mth_path_join(path, MTH_FOLDER_UNFINISHED "XXXXXX", "");
        if (!*directory)
            return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", path);
        if (!mkdtemp(*directory)) {
            status = mth_error_set(err, MTH_ERR_IO, "%s: cannot be made: %s", path, strerror(errno));
            break;
        }
        *held = open_directory(AT_FDCWD, *directory);
        /* Where there are no locks nobody clears, either. */
        if (*held >= 0)
            (void)lock(*held, true);
        if (*held >= 0 && is_still_there(*held, *directory))
            return MTH_OK;
        /* Between the two somebody took it for a dead one's. */
        if (*held >= 0)
            close(*held);
        *held = -1;
        status = mth_error_set(err, MTH_ERR_IO, "%s: cannot be made: its directory went away", path);
        rmdir(*directory);
        free(*directory);
        *directory = NULL;
    }
    free(*directory);
    *directory = NULL;
    return status;
}

/* Removes what is in a directory, as far as it goes; links are not followed. */
static void empty(int fd)
{
    int again = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    DIR *listing = again >= 0 ? fdopendir(again) : NULL;
    const struct dirent *entry;
    if (!listing && again >= 0)
        close(again);
    while (listing && (entry = readdir(listing))) {
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (!S_ISDIR(st.st_mode)) {
            (void)unlinkat(fd, entry->d_name, 0);
            continue;
        }
        (void)fchmodat(fd, entry->d_name, 0700, 0);
        int inner = open_directory(fd, entry->d_name);
        if (inner >= 0) {
            empty(inner);
            close(inner);
        }
        (void)unlinkat(fd, entry->d_name, AT_REMOVEDIR);
    }
    if (listing)
        closedir(listing);
}

/* Removes one that is this user's, and that no living process holds. */
static void clear(const char *path)
{
    struct stat st;
    int fd = open_directory(AT_FDCWD, path);
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && lock(fd, false) == 0 && is_still_there(fd, path)) {
        (void)fchmod(fd, 0700);
        empty(fd);
        rmdir(path);
    }
    close(fd);
}

void mth_folder_clear_unfinished(const char *path)
{
    char *trimmed = mth_path_trimmed(path);
    char *parent = trimmed ? mth_path_directory(trimmed) : NULL;
    struct mth_names names = {0};
    struct mth_error ignored;
    if (parent && mth_names_list(parent, &names, &ignored) == MTH_OK) {
        const char *own = mth_path_name(trimmed);
        size_t n_own = strlen(own);
        for (size_t i = 0; i < names.n_items; i++) {
            const char *name = names.items[i];
            if (strncmp(name, own, n_own) != 0 ||
                strncmp(name + n_own, MTH_FOLDER_UNFINISHED, strlen(MTH_FOLDER_UNFINISHED)) != 0 ||
                !is_random(name + n_own + strlen(MTH_FOLDER_UNFINISHED)))
                continue;
            char *found = mth_path_join(parent, "/", name);
            if (found)
                clear(found);
            free(found);
        }
        mth_names_free(&names);
    }
    free(parent);
    free(trimmed);
}
