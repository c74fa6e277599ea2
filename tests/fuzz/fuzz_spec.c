/* Parses whatever comes as a spec; what parses must have a canonical text that parses to itself. */
#include "pipeline/mithril.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mth_pipeline *pipeline, *again;
    struct mth_error err;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    if (mth_pipeline_parse(text, false, &pipeline, &err) == MTH_OK) {
        if (mth_pipeline_parse(mth_pipeline_text(pipeline), false, &again, &err) != MTH_OK ||
            strcmp(mth_pipeline_text(pipeline), mth_pipeline_text(again)) != 0)
            abort();
        mth_pipeline_destroy(again);
        mth_pipeline_destroy(pipeline);
    }
    free(text);
    return 0;
}
