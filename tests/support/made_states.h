/* Training states by torch (tests/fixtures/states/), as checkpoints in memory. */
#ifndef MTH_TESTS_MADE_STATES_H
#define MTH_TESTS_MADE_STATES_H

#include "tests/support/made_container.h"

#define MADE_STATES "tests/fixtures/states/"

/* A file of the folder, mapped as what it is; name: without ".pt". Ends the test on an error. */
struct made *made_states_load(const char *name);

#endif
