/* When a cell is warm; see bench.h. Pages, codec states and the processor's frequency settle in the first passes. */
#include "harness/bench.h"

enum { MIN_PASSES = 3 };

bool mth_warm_up_settled(const double *passes_ns, size_t n)
{
    if (n < MIN_PASSES)
        return false;
    double fastest = passes_ns[0];
    for (size_t i = 1; i + 2 < n; i++)
        fastest = passes_ns[i] < fastest ? passes_ns[i] : fastest;
    for (size_t i = n - 2; i < n; i++) {
        if (passes_ns[i] < 0.95 * fastest)
            return false;
        fastest = passes_ns[i] < fastest ? passes_ns[i] : fastest;
    }
    return true;
}
