/* What the files of chains share: the manifest's text, and the names in a chain's directory. Layout: docs/chain.md. */
#ifndef MTH_PIPELINE_CHAIN_H
#define MTH_PIPELINE_CHAIN_H

#include "pipeline/mithril.h"

#define MTH_CHAIN_MANIFEST "chain.manifest"
#define MTH_CHAIN_LOCK     "chain.lock"

/*
 * Shape     name: of the manifest, for messages; chain: with its memory set, otherwise empty
 * Errors    as mth_chain_read; what was read until then is freed by mth_chain_free
 */
int mth_chain_manifest_parse(const char *name, struct mth_bytes text, struct mth_chain *chain,
                             struct mth_error *err);
/* The text, allocated on the chain's account. Errors: MTH_ERR_NO_MEMORY. */
int mth_chain_manifest_write(const struct mth_chain *chain, struct mth_buffer *text, struct mth_error *err);

/* "step-1000.mth", or "step-1000.2.mth" for the second writing. */
enum { MTH_CHAIN_FILE_BYTES = 64 };
void mth_chain_step_file(const struct mth_chain_step *step, char out[MTH_CHAIN_FILE_BYTES]);
/* Is it the name of a container, or of what was to become a container or a manifest? */
bool mth_chain_is_container(const char *file);
bool mth_chain_is_leftover(const char *file);

/* What a chain that is new has for its spec. */
#define MTH_CHAIN_DEFAULT_SPEC "balanced"

/* Give it a spec. Errors: MTH_ERR_NO_MEMORY. */
int mth_chain_set_spec(struct mth_chain *chain, const char *spec, size_t n_spec, struct mth_error *err);

#endif
