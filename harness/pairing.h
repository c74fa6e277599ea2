/* What is said of the tensors of a checkpoint and those of its base. */
#ifndef MTH_HARNESS_PAIRING_H
#define MTH_HARNESS_PAIRING_H

#include "harness/json_writer.h"
#include "harness/text.h"
#include "pipeline/mithril.h"

/* "70 tensors as they were, 2 renamed, 4 new"; what there is none of is left out. Returns out. */
const char *mth_pairing_text(const struct mth_paired *paired, char out[MTH_TEXT_BYTES]);

/* An object of the counts; null where paired is NULL. */
void mth_pairing_put(struct mth_json_writer *w, const char *key, const struct mth_paired *paired);

#endif
