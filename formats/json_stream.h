/*
 * JSON text in a range of a source, as events, in memory that does not grow with the text.
 *
 * Text goes piece by piece through json_guard and yajl; what the events mean is for whoever takes them.
 */
#ifndef MTH_FORMATS_JSON_STREAM_H
#define MTH_FORMATS_JSON_STREAM_H

#include "base/file.h"

#include <stdbool.h>

enum mth_json_event {
    MTH_JSON_NULL,
    MTH_JSON_BOOLEAN,
    MTH_JSON_NUMBER,
    MTH_JSON_STRING,
    MTH_JSON_KEY,
    MTH_JSON_MAP_BEGIN,
    MTH_JSON_MAP_END,
    MTH_JSON_ARRAY_BEGIN,
    MTH_JSON_ARRAY_END
};

struct mth_json_stream;

struct mth_json_handler {
    /* text: of a number, string or key. Returns 0 to go on; any other status ends the reading, with its error set. */
    int (*event)(void *arg, const struct mth_json_stream *json, enum mth_json_event event, const char *text,
                 size_t n_text);
    /* Record what is wrong with the text itself; returns the status that it set. */
    int (*refuse)(void *arg, const struct mth_json_stream *json, const char *why);
    /*
     * A shorter way, or NULL: take the beginning of a text, if it is not inside of a string, and return its bytes; or 0, and set
     * *n_other to how many (1 .. n_text) go the usual way before this is asked again. What is taken must leave text that
     * is as right or wrong as it was with it.
     */
    size_t (*take)(void *arg, const uint8_t *text, size_t n_text, bool in_string, size_t *n_other,
                   int *status);
    void *arg;
    const char *what; /* for messages: "header" */
};

/* Where in the source the reading stands: what was wrong ends before. */
uint64_t mth_json_stream_offset(const struct mth_json_stream *json);

/* Was the string or key at hand longer than MTH_JSON_STRING_MAX_BYTES? Then only its beginning is there. */
bool mth_json_stream_was_cut(const struct mth_json_stream *json);

/*
 * Read n_bytes from offset on, which must lie inside of the source: one JSON object, spaces behind it allowed.
 *
 * Errors    MTH_ERR_FORMAT (not JSON, not an object at the first byte), those of the handler and of reading,
 *           MTH_ERR_NO_MEMORY
 * Cost      one pass in pieces of 64 KiB; 0.3 MiB
 */
int mth_json_stream_read(const struct mth_source *source, uint64_t offset, uint64_t n_bytes,
                         const struct mth_json_handler *handler, struct mth_memory *memory,
                         struct mth_error *err);

#endif
