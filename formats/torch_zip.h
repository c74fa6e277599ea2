/* The zip archive of torch.save, wherever it lies. */
#ifndef MTH_FORMATS_TORCH_ZIP_H
#define MTH_FORMATS_TORCH_ZIP_H

#include "formats/torch_objects.h"

/*
 * Map an archive that is all of a source, which may be a range of a file.
 *
 * Shape     map: an initialised one of the source's size; prefix: what all names begin with, "" for none; a tensor that was
 *           saved alone is then called by the prefix. budget: NULL, or what several archives share
 * Errors    as the format torch-zip
 */
int mth_torch_zip_map(const struct mth_source *source, const char *prefix, struct mth_torch_budget *budget,
                      struct mth_region_map *map, struct mth_error *err);

#endif
