/* Terms over named quantities; see require.h. */
#include "harness/require.h"

#include <stdlib.h>
#include <string.h>

bool mth_quantity_find(const struct mth_quantity *known, size_t n_known, const char *name, size_t n_name,
                       double *value)
{
    for (size_t i = 0; i < n_known; i++) {
        if (strlen(known[i].name) == n_name && memcmp(known[i].name, name, n_name) == 0) {
            *value = known[i].value;
            return true;
        }
    }
    return false;
}

bool mth_require_meets(const char *expression, mth_require_lookup *lookup, const void *subject,
                       const char *names, struct mth_error *err)
{
    bool met = true;
    for (const char *at = expression;;) {
        size_t n_name = strcspn(at, "<>=,");
        const char *sign = at + n_name;
        double value;
        char *end;
        if (!(sign[0] == '>' || sign[0] == '<') || sign[1] != '=' || !lookup(subject, at, n_name, &value)) {
            mth_error_set(err, MTH_ERR_USAGE,
                          "--require '%.100s': expected terms such as ratio>=10,gib_s>=2.5; it knows %s",
                          expression, names);
            return false;
        }
        double wanted = strtod(sign + 2, &end);
        if (end == sign + 2 || (*end != ',' && *end != '\0')) {
            mth_error_set(err, MTH_ERR_USAGE, "--require '%.100s': a number must follow %c=", expression,
                          sign[0]);
            return false;
        }
        met &= sign[0] == '>' ? value >= wanted : value <= wanted;
        if (*end == '\0')
            return met;
        at = end + 1;
    }
}
