/* What lossy pipelines lost, told wherever their results are. */
#ifndef MTH_HARNESS_LOSS_H
#define MTH_HARNESS_LOSS_H

#include "harness/json_writer.h"
#include "harness/options.h"
#include "pipeline/mithril.h"

enum { MTH_LOSS_TEXT_BYTES = 160 };

/* ", LOSSY: ..." with the errors; nothing where all is as it was. Returns out. */
const char *mth_loss_text(const struct mth_loss *loss, char out[MTH_LOSS_TEXT_BYTES]);

/* The members `lossy` and, where it is, `loss`, of an object that is begun. */
void mth_loss_put(struct mth_json_writer *writer, const struct mth_loss *loss);

/* Refuses pipelines that are lossy unless --lossy is given. Errors: MTH_ERR_USAGE; what does not parse is for others to tell. */
int mth_loss_check(const struct mth_options *options, struct mth_error *err);

#endif
