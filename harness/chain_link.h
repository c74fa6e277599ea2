/* What can be told of the containers of a chain without decoding them. */
#ifndef MTH_HARNESS_CHAIN_LINK_H
#define MTH_HARNESS_CHAIN_LINK_H

#include "pipeline/mithril.h"

/*
 * Is a step's container there, and the one that the chain means? Its head and its index are read.
 * Errors    MTH_ERR_NOT_FOUND; MTH_ERR_CHECKSUM for that of another step; those of opening a container
 */
int mth_chain_link_look(const struct mth_chain *chain, const char *directory, size_t index,
                        struct mth_error *err);
/*
 * Are the containers of a step and of all below it there, in their lengths? A new step must not stand on what is not there;
 * whether that restores is for `verify` to say.
 * Errors    MTH_ERR_NOT_FOUND; MTH_ERR_CORRUPT for another length
 */
int mth_chain_link_check(const struct mth_chain *chain, const char *directory, size_t index,
                         struct mth_error *err);

#endif
