/* What --require asks for: terms such as ratio>=10,gib_s>=2.5, over quantities that have names. */
#ifndef MTH_HARNESS_REQUIRE_H
#define MTH_HARNESS_REQUIRE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct mth_quantity {
    const char *name;
    double value;
};

/* The value of a name (n_name bytes) in a list; false where it is not there. */
bool mth_quantity_find(const struct mth_quantity *known, size_t n_known, const char *name, size_t n_name,
                       double *value);

/* A quantity of a subject by its name. */
typedef bool mth_require_lookup(const void *subject, const char *name, size_t n_name, double *value);

/*
 * Does a subject meet every term? names lists the quantities for messages.
 * Errors: false with MTH_ERR_USAGE for an expression that is none.
 */
bool mth_require_meets(const char *expression, mth_require_lookup *lookup, const void *subject,
                       const char *names, struct mth_error *err);

#endif
