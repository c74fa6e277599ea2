/*
 * Runs a fuzz target on the files and directories that are named as arguments: what makes a corpus a test where
 * there is no libFuzzer. Fails when a file cannot be read or when there was none.
 */
#include "base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t n_replayed;

static int replay_file(const char *path)
{
    struct mth_error err;
    struct mth_buffer file;
    struct mth_memory *memory = mth_memory_create(0);
    if (!memory || mth_file_read_all(path, memory, &file, &err) != MTH_OK) {
        fprintf(stderr, "replay: %s\n", memory ? err.text : "no memory");
        mth_memory_destroy(memory);
        return 1;
    }
    /* A block of just this size, so that a sanitizer sees the first byte too far. */
    uint8_t *exact = malloc(file.n_bytes ? file.n_bytes : 1);
    if (exact) {
        if (file.n_bytes)
            memcpy(exact, file.data, file.n_bytes);
        LLVMFuzzerTestOneInput(exact, file.n_bytes);
        n_replayed++;
    }
    free(exact);
    mth_memory_free(memory, file.data);
    mth_memory_destroy(memory);
    return exact == NULL;
}

static int replay_directory(const char *path)
{
    DIR *directory = opendir(path);
    if (!directory) {
        fprintf(stderr, "replay: %s: cannot be opened\n", path);
        return 1;
    }
    int failed = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char name[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        failed |= replay_file(name);
    }
    closedir(directory);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        failed |=
            stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode) ? replay_directory(argv[i]) : replay_file(argv[i]);
    }
    printf("%zu inputs replayed\n", n_replayed);
    return failed || n_replayed == 0;
}
