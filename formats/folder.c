/* A folder as one file: its list, and what is known of each entry; see folder.h. */
#include "formats/folder.h"

#include "base/checked.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAGIC "mithril-folder "

enum {
    VERSION = 1,
    MAX_HEAD_BYTES = 1 << 30,
    FIRST_LINE_BYTES = 64, /* of the longest first line */
    MIN_LINE_BYTES = 4,    /* "0 a\n" */
    MAX_NUMBER_BYTES = 21, /* with the space or the end behind it */
    MAX_COMPONENT_BYTES = 255
};

/* Sums of sizes do not overflow below it. */
static const uint64_t max_file_bytes = UINT64_C(1) << 56;

void mth_folder_init(struct mth_folder *folder, struct mth_memory *memory)
{
    *folder = (struct mth_folder){.memory = memory};
}

void mth_folder_free(struct mth_folder *folder)
{
    if (folder->memory) {
        mth_memory_free(folder->memory, folder->entries);
        mth_memory_free(folder->memory, folder->text);
    }
    *folder = (struct mth_folder){0};
}

bool mth_folder_is_directory(const struct mth_folder *folder, size_t entry)
{
    const char *name = mth_folder_name(folder, entry);
    return name[strlen(name) - 1] == '/';
}

bool mth_folder_claims(const uint8_t *head, size_t n_head)
{
    return n_head >= sizeof MAGIC - 1 && memcmp(head, MAGIC, sizeof MAGIC - 1) == 0;
}

int mth_folder_is(const struct mth_source *source, bool *is_folder, struct mth_error *err)
{
    uint8_t head[16];
    size_t n_head = source->n_bytes < sizeof head ? (size_t)source->n_bytes : sizeof head;
    int status = mth_source_read(source, 0, head, n_head, err);
    *is_folder = !status && mth_folder_claims(head, n_head);
    return status;
}

/* ---- entries ---- */

/* A path below the folder: names with single slashes between, none "." or "..", and one behind for a directory. */
static bool is_path(const char *name)
{
    size_t n_name = strlen(name), n_component = 0;
    if (n_name == 0 || n_name > MTH_FOLDER_PATH_MAX_BYTES || name[0] == '/')
        return false;
    for (size_t i = 0; i <= n_name; i++) {
        const char *component = name + i - n_component;
        if (name[i] != '/' && name[i] != '\0') {
            n_component++;
            continue;
        }
        if (n_component > MAX_COMPONENT_BYTES || (n_component == 0 && name[i] == '/') ||
            (n_component == 1 && component[0] == '.') ||
            (n_component == 2 && component[0] == '.' && component[1] == '.'))
            return false;
        n_component = 0;
    }
    return true;
}

static int grow(struct mth_folder *folder, size_t n_name)
{
    size_t n_text;
    if (folder->n_entries == folder->capacity) {
        size_t capacity = folder->capacity ? 2 * folder->capacity : 16;
        struct mth_folder_entry *entries =
            mth_memory_realloc(folder->memory, folder->entries, capacity * sizeof *entries);
        if (!entries)
            return MTH_ERR_NO_MEMORY;
        folder->entries = entries;
        folder->capacity = capacity;
    }
    if (!mth_size_add(folder->n_text, n_name + 1, &n_text))
        return MTH_ERR_OVERFLOW;
    if (n_text > folder->text_capacity) {
        size_t capacity = 2 * n_text;
        char *text = mth_memory_realloc(folder->memory, folder->text, capacity);
        if (!text)
            return MTH_ERR_NO_MEMORY;
        folder->text = text;
        folder->text_capacity = capacity;
    }
    return MTH_OK;
}

/* Whether the first n_name bytes of name are an entry; their order is that of strcmp. */
static bool has_entry(const struct mth_folder *folder, const char *name, size_t n_name)
{
    size_t begin = 0, end = folder->n_entries;
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        const char *entry = mth_folder_name(folder, middle);
        int order = strncmp(entry, name, n_name);
        if (order == 0 && entry[n_name] == '\0')
            return true;
        if (order < 0)
            begin = middle + 1;
        else
            end = middle;
    }
    return false;
}

/* The directory that it is in is there, and no file has the name of a directory. */
static bool has_place(const struct mth_folder *folder, const char *name)
{
    size_t n_name = strlen(name);
    if (name[n_name - 1] == '/') {
        n_name--;
        if (has_entry(folder, name, n_name))
            return false;
    }
    while (n_name > 0 && name[n_name - 1] != '/')
        n_name--;
    return n_name == 0 || has_entry(folder, name, n_name);
}

int mth_folder_add(struct mth_folder *folder, const char *name, uint64_t n_bytes)
{
    size_t n_name = strlen(name);
    uint64_t end;
    if (!is_path(name) || (name[n_name - 1] == '/' && n_bytes))
        return MTH_ERR_FORMAT;
    if (folder->n_entries && strcmp(mth_folder_name(folder, folder->n_entries - 1), name) >= 0)
        return MTH_ERR_FORMAT;
    if (!has_place(folder, name))
        return MTH_ERR_FORMAT;
    /* Until the head is there, files begin at 0. */
    if (n_bytes > max_file_bytes || !mth_u64_add(folder->n_content, n_bytes, &end) || end > max_file_bytes)
        return MTH_ERR_OVERFLOW;
    int status = grow(folder, n_name);
    if (status)
        return status;
    folder->entries[folder->n_entries++] =
        (struct mth_folder_entry){.name = folder->n_text, .begin = folder->n_content, .n_bytes = n_bytes};
    memcpy(folder->text + folder->n_text, name, n_name + 1);
    folder->n_text += n_name + 1;
    folder->n_content = end;
    return MTH_OK;
}

/* All entries are there, and the head takes n_head bytes. */
static void settle(struct mth_folder *folder, uint64_t n_head)
{
    for (size_t i = 0; i < folder->n_entries; i++)
        folder->entries[i].begin += n_head;
    folder->n_head = n_head;
    folder->n_content += n_head;
    folder->n_bytes = folder->n_content + (uint64_t)MTH_FOLDER_ATTRIBUTE_BYTES * folder->n_entries;
}

/* ---- writing ---- */

static bool is_plain(unsigned char c)
{
    return c > 0x20 && c < 0x7f && c != '%';
}

static size_t put_entry(const struct mth_folder *folder, size_t entry, char *out)
{
    size_t n = (size_t)snprintf(out, MAX_NUMBER_BYTES + 1, "%" PRIu64 " ", folder->entries[entry].n_bytes);
    for (const unsigned char *p = (const unsigned char *)mth_folder_name(folder, entry); *p; p++) {
        if (is_plain(*p))
            out[n++] = (char)*p;
        else
            n += (size_t)snprintf(out + n, 4, "%%%02x", *p);
    }
    out[n++] = '\n';
    return n;
}

static int put_first_line(const struct mth_folder *folder, uint64_t n_head, char out[FIRST_LINE_BYTES])
{
    return snprintf(out, FIRST_LINE_BYTES, MAGIC "%d %" PRIu64 " %zu\n", VERSION, n_head, folder->n_entries);
}

int mth_folder_write_head(struct mth_folder *folder, struct mth_buffer *head)
{
    char first[FIRST_LINE_BYTES];
    size_t capacity, n_lines = 0;
    uint64_t n_head = 0;
    *head = (struct mth_buffer){0};
    /* Names at their longest are %XX throughout; snprintf wants room for its NUL. */
    if (!mth_size_mul(folder->n_text, 3, &capacity) ||
        !mth_size_add(capacity, folder->n_entries * (MAX_NUMBER_BYTES + 1) + FIRST_LINE_BYTES + 1, &capacity))
        return MTH_ERR_OVERFLOW;
    head->data = mth_memory_alloc(folder->memory, capacity);
    if (!head->data)
        return MTH_ERR_NO_MEMORY;
    char *lines = (char *)head->data + FIRST_LINE_BYTES;
    for (size_t i = 0; i < folder->n_entries; i++)
        n_lines += put_entry(folder, i, lines + n_lines);
    /* The first line tells its own length as well: until that does not change any more. */
    for (uint64_t before = 1; before != n_head;) {
        before = n_head;
        n_head = n_lines + (uint64_t)put_first_line(folder, n_head, first);
    }
    size_t n_first = (size_t)(n_head - n_lines);
    memmove(head->data + n_first, lines, n_lines);
    memcpy(head->data, first, n_first);
    head->n_bytes = (size_t)n_head;
    head->capacity_bytes = capacity;
    settle(folder, n_head);
    return MTH_OK;
}

void mth_folder_put_attributes(const struct mth_folder_attributes *attributes,
                               uint8_t out[MTH_FOLDER_ATTRIBUTE_BYTES])
{
    mth_store32(out, attributes->mode);
    mth_store32(out + 4, attributes->mtime_ns);
    mth_store64(out + 8, (uint64_t)attributes->mtime_s);
}

int mth_folder_get_attributes(const struct mth_source *source, const struct mth_folder *folder, size_t entry,
                              struct mth_folder_attributes *attributes, struct mth_error *err)
{
    uint8_t bytes[MTH_FOLDER_ATTRIBUTE_BYTES];
    int status =
        mth_source_read(source, folder->n_content + (uint64_t)sizeof bytes * entry, bytes, sizeof bytes, err);
    if (status)
        return status;
    *attributes = (struct mth_folder_attributes){.mode = mth_load32(bytes) & 0777,
                                                 .mtime_ns = mth_load32(bytes + 4),
                                                 .mtime_s = (int64_t)mth_load64(bytes + 8)};
    return MTH_OK;
}

/* ---- reading ---- */

struct reader {
    char *at, *end;
};

static bool take_number(struct reader *reader, char behind, uint64_t *out)
{
    const char *begin = reader->at;
    uint64_t value = 0;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9') {
        if (!mth_u64_mul(value, 10, &value) || !mth_u64_add(value, (uint64_t)(*reader->at - '0'), &value))
            return false;
        reader->at++;
    }
    bool right = reader->at > begin && (*begin != '0' || reader->at == begin + 1) &&
                 reader->at < reader->end && *reader->at == behind;
    reader->at += right;
    *out = value;
    return right;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Names are written in one way alone, so that a folder is one file alone. The text becomes the name, in its place. */
static bool take_name(struct reader *reader, const char **name)
{
    char *out = reader->at;
    *name = out;
    while (reader->at < reader->end && *reader->at != '\n') {
        unsigned char c = (unsigned char)*reader->at;
        size_t n = 1;
        if (c == '%') {
            int high = reader->end - reader->at > 3 ? hex_digit(reader->at[1]) : -1;
            int low = high >= 0 ? hex_digit(reader->at[2]) : -1;
            if (low < 0)
                return false;
            c = (unsigned char)(high << 4 | low);
            n = 3;
        }
        if (c == '\0' || is_plain(c) != (n == 1))
            return false;
        *out++ = (char)c;
        reader->at += n;
    }
    if (reader->at == reader->end)
        return false;
    reader->at++;
    *out = '\0';
    return true;
}

static int parse(struct reader *reader, uint64_t n_entries, const char *file, struct mth_folder *folder,
                 struct mth_error *err)
{
    for (uint64_t i = 0; i < n_entries; i++) {
        uint64_t n_bytes;
        const char *name;
        int status = take_number(reader, ' ', &n_bytes) && take_name(reader, &name)
                         ? mth_folder_add(folder, name, n_bytes)
                         : MTH_ERR_FORMAT;
        if (status == MTH_ERR_NO_MEMORY)
            return mth_error_set(err, status, "%s: no memory for its list", file);
        if (status)
            return mth_error_set(err, MTH_ERR_FORMAT, "%s: line %" PRIu64 " of the folder's list is none",
                                 file, i + 2);
    }
    return reader->at == reader->end
               ? MTH_OK
               : mth_error_set(err, MTH_ERR_FORMAT, "%s: the folder's list is longer than it says", file);
}

/* How long the list is, and how many lines it has. */
static int read_first_line(const struct mth_source *source, uint64_t *n_head, uint64_t *n_entries,
                           size_t *n_first, struct mth_error *err)
{
    char first[FIRST_LINE_BYTES];
    size_t n = source->n_bytes < sizeof first ? (size_t)source->n_bytes : sizeof first;
    uint64_t version;
    int status = mth_source_read(source, 0, first, n, err);
    if (status)
        return status;
    struct reader reader = {first + sizeof MAGIC - 1, first + n};
    if (!mth_folder_claims((const uint8_t *)first, n) || !take_number(&reader, ' ', &version))
        return mth_error_set(err, MTH_ERR_FORMAT, "%s: is no folder", source->name);
    if (version != VERSION)
        return mth_error_set(err, MTH_ERR_UNSUPPORTED,
                             "%s: a folder of version %" PRIu64 ", this program knows version %d",
                             source->name, version, VERSION);
    if (!take_number(&reader, ' ', n_head) || !take_number(&reader, '\n', n_entries))
        return mth_error_set(err, MTH_ERR_FORMAT, "%s: the folder's first line is none", source->name);
    *n_first = (size_t)(reader.at - first);
    if (*n_head < *n_first || *n_head > source->n_bytes || *n_head > MAX_HEAD_BYTES ||
        *n_entries > (*n_head - *n_first) / MIN_LINE_BYTES)
        return mth_error_set(err, MTH_ERR_FORMAT, "%s: the folder's list can not be as long as it says",
                             source->name);
    return MTH_OK;
}

int mth_folder_read(const struct mth_source *source, struct mth_memory *memory, struct mth_folder *folder,
                    struct mth_error *err)
{
    uint64_t n_head = 0, n_entries = 0;
    size_t n_first = 0;
    int status = read_first_line(source, &n_head, &n_entries, &n_first, err);
    if (status)
        return status;
    char *text = mth_memory_alloc(memory, (size_t)n_head);
    if (!text)
        return mth_error_set(err, MTH_ERR_NO_MEMORY, "%s: no memory for its list", source->name);
    mth_folder_init(folder, memory);
    struct reader reader = {text + n_first, text + n_head};
    status = mth_source_read(source, 0, text, (size_t)n_head, err);
    if (!status)
        status = parse(&reader, n_entries, source->name, folder, err);
    mth_memory_free(memory, text);
    settle(folder, n_head);
    if (!status && folder->n_bytes != source->n_bytes)
        status = mth_error_set(err, MTH_ERR_TRUNCATED,
                               "%s: has %" PRIu64 " bytes, the list of its files makes %" PRIu64,
                               source->name, source->n_bytes, folder->n_bytes);
    if (status)
        mth_folder_free(folder);
    return status;
}
