/*
 * Status codes and one-line errors.
 *
 * Every function that can fail returns 0 or a negative code of this enum; the enum is append-only, so that a
 * code keeps its number for ever. A function that has more to say than the code also fills a struct
 * mth_error: one line that tells what is wrong, where, and what to do.
 */
#ifndef MTH_BASE_STATUS_H
#define MTH_BASE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

enum mth_status {
    MTH_OK = 0,
    MTH_ERR_USAGE = -1,        /* an argument makes no sense */
    MTH_ERR_NO_MEMORY = -2,    /* the system refused memory */
    MTH_ERR_LIMIT = -3,        /* a limit set by the caller would be exceeded */
    MTH_ERR_IO = -4,           /* reading or writing failed */
    MTH_ERR_NOT_FOUND = -5,    /* a file, tensor or name does not exist */
    MTH_ERR_CORRUPT = -6,      /* compressed data contradicts itself */
    MTH_ERR_TRUNCATED = -7,    /* data ends too early */
    MTH_ERR_CHECKSUM = -8,     /* a checksum or digest differs */
    MTH_ERR_FORMAT = -9,       /* a checkpoint file breaks the rules of its format */
    MTH_ERR_UNSUPPORTED = -10, /* understood, but not possible here */
    MTH_ERR_SPEC = -11,        /* a pipeline spec does not parse */
    MTH_ERR_BASE = -12,        /* the base is missing or is not the one that was coded against */
    MTH_ERR_CAPACITY = -13,    /* the destination is too small */
    MTH_ERR_OVERFLOW = -14,    /* a size does not fit its type */
    MTH_ERR_LIBRARY = -15,     /* a third-party library reported a failure of its own */
    MTH_ERR_CANCELLED = -16,   /* the caller asked to stop */
    MTH_ERR_INTERNAL = -17,    /* a bug of ours */
    MTH_STATUS_LAST = MTH_ERR_INTERNAL
};

enum { MTH_ERROR_TEXT_BYTES = 512 };

/* The first error of an operation, as one line without a newline. */
struct mth_error {
    int status;
    char text[MTH_ERROR_TEXT_BYTES];
};

/* Name of a code, as in the enum ("MTH_ERR_BASE"); "MTH_ERR_?" for a number that is none. Never NULL. */
const char *mth_status_name(int status);

/* One sentence for a code. Never NULL. */
const char *mth_status_text(int status);

/*
 * Record an error and return its status, so that `return mth_error_set(err, MTH_ERR_IO, ...)` reads well.
 * err may be NULL. Control characters in the formatted text become '?', so that hostile names stay on one
 * line.
 */
int mth_error_set(struct mth_error *err, int status, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* For the static analyser, which cannot know that what comes back is the status that went in. */
#ifdef __clang_analyzer__
#define mth_error_set(err, status, ...) (mth_error_set(err, status, __VA_ARGS__), (status))
#endif

#ifdef __cplusplus
}
#endif
#endif
