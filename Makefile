# mithril: `make` builds, `make bench` and `make test` do everything from nothing. `make help` lists the rest.

BUILD ?= build
CC ?= cc
CLANG ?= clang
CLANG_FORMAT ?= clang-format
CLANG_TIDY ?= clang-tidy
OPT ?= -O3 -g
SANITIZE ?=
WERROR ?=
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
LINT_GCC ?= $(BUILD)/lint-gcc
FUZZ_SECONDS ?= 60
FUZZ_OWN_SECONDS ?= $(FUZZ_SECONDS)
MATRIX ?= datasets/default_matrix.json
ROWS ?= $(BUILD)/bench/rows.jsonl
REFERENCE_ROWS ?= results/rows.jsonl
BENCH_ARGS ?=

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
VERSION := $(shell sed -n 's/^\#define MTH_VERSION "\(.*\)"/\1/p' pipeline/mithril.h)

ifneq ($(and $(filter clean,$(MAKECMDGOALS)),$(filter-out clean,$(MAKECMDGOALS))),)
# clean among other goals comes first; the others are makes of their own that see what it left.
.NOTPARALLEL:
.PHONY: $(MAKECMDGOALS)
clean:
	rm -rf $(BUILD)
$(filter-out clean,$(MAKECMDGOALS)): clean
	+$(MAKE) $@
else

# Goals that install, configure and build through a make of their own, so that they work where nothing is there yet.
OUTER := clean help deps bench bench-peers peer-ratios check-presets compare test test-large test-arm asan fuzz fuzz-replay coverage lint format format-check check-dependencies
ifneq ($(filter $(OUTER),$(MAKECMDGOALS)),)
# One at a time: two makes in one BUILD would get in each other's way.
.NOTPARALLEL:
endif
ifneq ($(filter-out $(OUTER),$(or $(MAKECMDGOALS),all)),)
include $(BUILD)/config.mk
endif

WARNINGS := -Wall -Wextra -Wshadow -Wconversion
MTH_CFLAGS := -std=c11 -D_POSIX_C_SOURCE=200809L -fPIC -ffp-contract=off $(WARNINGS) -I. -I$(BUILD)
COMPILE = $(CC) $(MTH_CFLAGS) $(CONFIG_CFLAGS) $(OPT) $(WERROR) $(SANITIZE) $(LOCAL_FLAGS) $(CPPFLAGS) $(CFLAGS)
LINK = $(CC) $(SANITIZE) $(LDFLAGS)
# `make V=1` shows the commands.
SAY := @$(if $(V),:,printf '  %-5s %s\n')
Q := $(if $(V),,@)

LIB_SOURCES := $(sort $(wildcard base/*.c codecs/*.c codecs/*/*.c transforms/*.c transforms/*/*.c formats/*.c formats/*/*.c \
	pipeline/*.c pipeline/*/*.c))
# A program of its own, on the harness without its main.
KERNEL_SOURCES := $(sort $(wildcard harness/kernels/*.c))
PROGRAM_SOURCES := $(sort $(filter-out $(KERNEL_SOURCES),$(wildcard harness/*.c harness/*/*.c datasets/*.c)))
LIB_OBJECTS := $(LIB_SOURCES:%.c=$(BUILD)/obj/%.o)
PROGRAM_OBJECTS := $(PROGRAM_SOURCES:%.c=$(BUILD)/obj/%.o)

# A test program is tests/test_*.c; what they share is tests/support/*.c. tests/large_* need more time or space.
TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/test_*.c))
LARGE_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/large_*.c))
TEST_SUPPORT := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/support/*.c))
FUZZERS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SEEDS := $(BUILD)/tests/fuzz/seeds
# An example named *plugin* is a plug-in, any other is a program that uses the library. tests/plugin_*.c are plug-ins of tests.
PLUGIN_SOURCES := $(wildcard examples/*plugin*.c)
TEST_PLUGINS := $(patsubst %.c,$(BUILD)/%.so,$(wildcard tests/plugin_*.c))
PLUGINS := $(PLUGIN_SOURCES:%.c=$(BUILD)/%.so)
EXAMPLES := $(patsubst %.c,$(BUILD)/%,$(filter-out $(PLUGIN_SOURCES),$(wildcard examples/*.c)))

all: $(BUILD)/mithril $(BUILD)/libmithril.a $(BUILD)/libmithril.so $(PLUGINS) $(EXAMPLES)

everything: all $(BUILD)/bench-kernels $(TESTS) $(LARGE_TESTS) $(FUZZERS) $(FUZZ_SEEDS)

# ---- building ----

$(BUILD)/config.mk: scripts/configure.sh scripts/find_libraries.sh scripts/libraries.tsv
	$(Q)CC="$(CC)" scripts/configure.sh $(BUILD)
	@touch $@

# These change only when their content does: what was made with other flags, or of other files, is made again.
$(BUILD)/flags: export MTH_STAMP = $(COMPILE) $(LDFLAGS) $(CONFIG_LIBS) $(CONFIG_TEST_LIBS) $(FUZZ_ENGINE)
$(BUILD)/sources: export MTH_STAMP = $(LIB_SOURCES) $(PROGRAM_SOURCES) $(KERNEL_SOURCES) $(TEST_SUPPORT)
$(BUILD)/commit: export MTH_STAMP = $(if $(wildcard .git),$(shell GIT_OPTIONAL_LOCKS=0 git describe --always --dirty 2>/dev/null))
$(BUILD)/diff: export MTH_STAMP = $(if $(wildcard .git),$(shell GIT_OPTIONAL_LOCKS=0 git diff --quiet HEAD 2>/dev/null || \
	git diff HEAD 2>/dev/null | git hash-object --stdin 2>/dev/null))
$(BUILD)/flags $(BUILD)/sources $(BUILD)/commit $(BUILD)/diff: always
	@mkdir -p $(@D)
	@printf '%s\n' "$$MTH_STAMP" | cmp -s - $@ || printf '%s\n' "$$MTH_STAMP" >$@

$(BUILD)/obj/%.o: %.c $(BUILD)/flags | $(BUILD)/config.mk
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(COMPILE) -MMD -MP -c -o $@ $<

# What `mithril env` tells of the build. private: what it is made from is not built with this.
$(BUILD)/obj/harness/env.o: $(BUILD)/commit $(BUILD)/diff
$(BUILD)/obj/harness/env.o: private CPPFLAGS += -DMTH_BUILD_COMMIT="\"$$(cat $(BUILD)/commit)\"" -DMTH_BUILD_DIFF="\"$$(cat $(BUILD)/diff)\"" \
	-DMTH_BUILD_FLAGS='"$(subst ",\",$(subst ',,$(filter-out -I% -W%,$(MTH_CFLAGS)) $(OPT) $(SANITIZE) $(CFLAGS)))"'

$(BUILD)/libmithril.a: $(LIB_OBJECTS) $(BUILD)/sources
	$(SAY) AR $@
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $(LIB_OBJECTS)

$(BUILD)/libmithril.so: $(LIB_OBJECTS) $(BUILD)/sources scripts/libmithril.map
	$(SAY) LINK $@
	$(Q)$(LINK) -shared -Wl,-soname,libmithril.so.0 -Wl,--version-script=scripts/libmithril.map -o $@ $(LIB_OBJECTS) $(CONFIG_LIBS)
	$(Q)ln -sf libmithril.so $@.0

# -rdynamic: plug-ins call the allocator and the helpers of the program that loads them.
$(BUILD)/mithril: $(PROGRAM_OBJECTS) $(LIB_OBJECTS) $(BUILD)/sources
	$(SAY) LINK $@
	$(Q)$(LINK) -rdynamic -o $@ $(PROGRAM_OBJECTS) $(LIB_OBJECTS) $(CONFIG_LIBS)

$(PLUGINS) $(TEST_PLUGINS): $(BUILD)/%.so: $(BUILD)/obj/%.o
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(Q)$(LINK) -shared -o $@ $<

# Roots that set errno are calls, and loops with calls are not vectorised.
$(BUILD)/obj/transforms/predictors/%.o $(BUILD)/obj/transforms/moment/%.o: private LOCAL_FLAGS := -fno-math-errno

# Examples include <mithril.h>, as a program outside the tree does.
$(BUILD)/obj/examples/%.o: private LOCAL_FLAGS := -Ipipeline
$(EXAMPLES): $(BUILD)/%: $(BUILD)/obj/%.o $(BUILD)/libmithril.a
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(Q)$(LINK) -o $@ $< $(BUILD)/libmithril.a $(CONFIG_LIBS)

# The harness without its main, for tests that call into it.
$(BUILD)/libharness.a: $(PROGRAM_OBJECTS) $(BUILD)/sources
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $(filter-out %/harness/main.o,$(PROGRAM_OBJECTS))

KERNEL_OBJECTS := $(KERNEL_SOURCES:%.c=$(BUILD)/obj/%.o)
$(BUILD)/bench-kernels: $(KERNEL_OBJECTS) $(BUILD)/libharness.a $(BUILD)/libmithril.a $(BUILD)/sources
	$(SAY) LINK $@
	$(Q)$(LINK) -o $@ $(KERNEL_OBJECTS) $(BUILD)/libharness.a $(BUILD)/libmithril.a $(CONFIG_LIBS)

TEST_LIBRARIES := $(TEST_SUPPORT) $(BUILD)/libharness.a $(BUILD)/libmithril.a
LINK_TEST = $(LINK) -rdynamic -o $@ $< $(TEST_SUPPORT) $(BUILD)/libharness.a \
	-Wl,--whole-archive $(BUILD)/libmithril.a -Wl,--no-whole-archive $(CONFIG_LIBS)

$(TESTS) $(LARGE_TESTS): $(BUILD)/%: $(BUILD)/obj/%.o $(TEST_LIBRARIES) | $(TEST_PLUGINS)
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(Q)$(LINK_TEST) $(CONFIG_TEST_LIBS)

# A fuzz target with FUZZ_ENGINE=-fsanitize=fuzzer searches; without, it replays the files it is given.
FUZZ_ENGINE ?=
FUZZ_MAIN := $(if $(FUZZ_ENGINE),,$(BUILD)/obj/tests/fuzz/replay.o)
FUZZ_SUPPORT := $(addprefix $(BUILD)/obj/,tests/support/guard.o tests/support/patterns.o examples/plugin_range0.o)
$(FUZZERS): $(BUILD)/%: $(BUILD)/obj/%.o $(FUZZ_MAIN) $(FUZZ_SUPPORT) $(BUILD)/libmithril.a
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(Q)$(LINK) $(FUZZ_ENGINE) -o $@ $< $(FUZZ_MAIN) $(FUZZ_SUPPORT) $(BUILD)/libmithril.a $(CONFIG_LIBS)

$(FUZZ_SEEDS): $(BUILD)/obj/tests/fuzz/seeds.o $(FUZZ_SUPPORT) $(BUILD)/libmithril.a
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(Q)$(LINK) -o $@ $< $(FUZZ_SUPPORT) $(BUILD)/libmithril.a $(CONFIG_LIBS)

# ---- from nothing: install, build, run ----

# A make of its own, on all processors unless this one was told how many.
SUBMAKE = $(MAKE) $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS)) --no-print-directory
# $(call install,GROUPS): packages, and a fresh look for libraries where a look was taken before.
install_groups = CC="$(CC)" scripts/install_deps.sh $(1) && \
	{ [ ! -e $(BUILD)/config.mk ] || CC="$(CC)" scripts/configure.sh $(BUILD); }
ASAN := SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer" OPT="-O1 -g"

deps:
	@scripts/install_deps.sh all

bench:
	@$(call install_groups,build)
	@+$(SUBMAKE) all
	@mkdir -p $(dir $(ROWS))
	$(BUILD)/mithril datasets make small-model
	$(BUILD)/mithril bench --matrix $(MATRIX) --json $(ROWS) $(BENCH_ARGS)

bench-peers:
	@$(call install_groups,build fetch)
	@+$(SUBMAKE) all
	MITHRIL=$(BUILD)/mithril scripts/bench_peers.sh $(BENCH_ARGS)

# IDS: pairs of the manifest, or datasets. What the file has already is kept.
peer-ratios:
	@$(call install_groups,build fetch)
	@+$(SUBMAKE) all
	MITHRIL=$(BUILD)/mithril SLOW=yes RATIOS=$(BUILD)/bench/pair_ratios.jsonl scripts/bench_peers.sh $(IDS)
	$(BUILD)/peers/presets/bin/python -B scripts/peers/pair_ratios.py table $(BUILD)/bench/pair_ratios.jsonl

# IDS: entries of the manifest, instead of the usual ones.
check-presets:
	@$(call install_groups,build fetch)
	@+$(SUBMAKE) all
	MITHRIL=$(BUILD)/mithril scripts/check_presets.sh $(IDS)

test:
	@$(call install_groups,build test)
	@+$(SUBMAKE) all run-tests

test-arm:
	@BUILD="$(BUILD)" JOBS="$(JOBS)" WERROR="$(WERROR)" MAKE="$(MAKE)" scripts/test_arm.sh

test-large:
	@$(call install_groups,build test)
	@+$(SUBMAKE) all run-large-tests

asan:
	@$(call install_groups,build test)
	@+$(SUBMAKE) BUILD=$(BUILD)/asan $(ASAN) all run-tests

# Fuzzers do not compare checksums: they would never get past one.
UNCHECKED := -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION

fuzz-replay:
	@$(call install_groups,build)
	@+$(SUBMAKE) BUILD=$(BUILD)/replay $(ASAN) CPPFLAGS="$(UNCHECKED)" run-fuzz-replay

fuzz:
	@$(call install_groups,build fuzz)
	@+$(SUBMAKE) BUILD=$(BUILD)/fuzz CC=$(CLANG) OPT="-O1 -g" CPPFLAGS="$(UNCHECKED)" FUZZ_ENGINE=-fsanitize=fuzzer,address,undefined \
		SANITIZE="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined" run-fuzz

# Two builds of counters: the tests want checksums compared, the corpora do not. Counts that several threads add to are atomic.
GCOV := CC=gcc OPT="-O0 -g" SANITIZE="--coverage -fprofile-update=atomic"

coverage:
	@$(call install_groups,build test)
	@find $(BUILD)/coverage $(BUILD)/coverage-replay -name '*.gcda' -delete 2>/dev/null || true
	@+$(SUBMAKE) BUILD=$(BUILD)/coverage-replay $(GCOV) CPPFLAGS="$(UNCHECKED)" run-fuzz-replay
	@+$(SUBMAKE) BUILD=$(BUILD)/coverage $(GCOV) all run-tests
	@scripts/coverage.sh $(BUILD)/coverage $(BUILD)/coverage-replay

RUN_TESTS = MITHRIL=$(BUILD)/mithril MITHRIL_BUILD=$(BUILD) CC="$(CC)" TEST_JOBS=$(JOBS) scripts/run_tests.sh $(BUILD)/tests

# Those that take longest begin first, so that no processor waits for the last of them.
LONG_TESTS = $(addprefix $(BUILD)/tests/,test_transforms test_chain_model test_ulp_rans test_compare_turns) \
	tests/test_container_decoder.sh tests/test_set_restores.sh
RUNNABLE = $(TESTS) $(wildcard tests/test_*.sh)

run-tests: all $(BUILD)/bench-kernels $(TESTS)
	@$(RUN_TESTS) $(filter $(RUNNABLE),$(LONG_TESTS)) $(filter-out $(LONG_TESTS),$(RUNNABLE))

run-large-tests: all $(LARGE_TESTS)
	@$(RUN_TESTS)/large $(LARGE_TESTS) $(wildcard tests/large_*.sh) scripts/add_codec_check.sh

# tests/fuzz/corpus/NAME holds the inputs of tests/fuzz/fuzz_NAME.c.
corpus_of = tests/fuzz/corpus/$(patsubst fuzz_%,%,$(notdir $(1)))

run-fuzz-replay: $(FUZZERS)
	@$(foreach f,$(FUZZERS),echo "$(notdir $f):" && $f $(call corpus_of,$f) &&) true

run-fuzz: $(FUZZERS) $(FUZZ_SEEDS)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_OWN_SECONDS=$(FUZZ_OWN_SECONDS) FUZZ_ONLY="$(FUZZ_ONLY)" scripts/fuzz.sh $(BUILD)/tests/fuzz

# Seeds of codecs and transforms, made anew; those of formats come from their fixtures and from searches.
fuzz-seeds: $(FUZZ_SEEDS)
	@mkdir -p tests/fuzz/corpus/codec tests/fuzz/corpus/transform
	$(FUZZ_SEEDS) tests/fuzz/corpus

# ---- results ----

# STATUS.md and the table of README.md, from the rows of the reference run.
status: all
	$(BUILD)/mithril report --status STATUS.md --readme README.md $(REFERENCE_ROWS)

# A new reference run: measures, keeps the rows, makes tables, figures, the page and the status from them. Threads, roles and single
# tensors are measured on a few checkpoints alone, before the matrix, whose rows replace those that come twice; parts by tensor would
# be megabytes.
DETAIL_DATASETS ?= tiny-gpt small-gpt small-gpt/pretrain-1 small-gpt/training small-gpt/training-1
DETAIL_ARGS ?= -p seed -p zipnn -p fast -p balanced -p max -t $(JOBS) --scaling --parts --latency --resident
DETAIL_ROWS ?= $(BUILD)/bench/details.jsonl
results: all
	@scripts/install_deps.sh report
	@mkdir -p $(dir $(REFERENCE_ROWS)) $(dir $(DETAIL_ROWS))
	$(BUILD)/mithril bench $(DETAIL_DATASETS) $(DETAIL_ARGS) --json $(DETAIL_ROWS)
	+$(MAKE) bench BENCH_ARGS="--resident $(BENCH_ARGS)"
	{ grep -v '"by":"tensor"' $(DETAIL_ROWS); cat $(ROWS); } >$(REFERENCE_ROWS)
	$(BUILD)/mithril report -o results --formats svg,pdf,png --html results/page.html $(REFERENCE_ROWS)
	rm -f results/page_*
	+$(MAKE) results-pairs
	+$(MAKE) status

# Every preset on every pair that was trained here: rows, table and figures in PAIRS_RESULTS. Those that are not here are passed over.
PAIRS_RESULTS ?= results/pairs
results-pairs: all
	@scripts/install_deps.sh report
	MITHRIL=$(BUILD)/mithril scripts/pairs_results.sh $(PAIRS_RESULTS)

# How fast some of them go on one thread, cold, by each set of instructions; some five minutes with nothing beside.
results-speeds: all
	MITHRIL=$(BUILD)/mithril scripts/pair_speeds.sh $(PAIRS_RESULTS)

# The bound in the rows of PAIRS_RESULTS against numpy's, which shares no line with it: 0.1 %. PYTHON needs numpy.
PYTHON ?= python3
check-bounds:
	$(PYTHON) -B datasets/train/pair_bound.py --rows $(PAIRS_RESULTS)/rows.jsonl $(IDS)

# What frozen tensors cost beside the trained ones alone, of the pairs of gpt-frozen or of IDS.
check-frozen: all
	$(PYTHON) -B datasets/train/trained_part.py $(BUILD)/mithril $(IDS)

# What each policy costs on runs, over the distance between full checkpoints: rows and figure of each run, one table, in
# CHAIN_RESULTS. `make results-chain-reference` makes those of results/chain/ anew, from runs of datasets/train/.
CHAIN_RESULTS ?= $(BUILD)/chain
CHAIN_EVERY ?= 2 4 8
CHAIN_POLICIES = --policy full $(foreach k,$(CHAIN_EVERY),--policy full:every=$k --policy one-shot:every=$k) --policy consecutive \
	--policy one-shot --policy intermittent
CHAIN_ARGS ?= -p balanced -p fast -p check-n-run
chain_rows = $(CHAIN_RESULTS)/$(subst /,-,$(patsubst /%,%,$(patsubst $(BUILD)/datasets/%,%,$(patsubst %/,%,$(1)))))$(2).jsonl
results-chain: all
	@scripts/install_deps.sh report
	@[ -n "$(RUN)" ] || { echo 'RUN=DIRECTORY... of step files is missing' >&2; exit 1; }
	@mkdir -p $(CHAIN_RESULTS)
	@+$(foreach run,$(RUN),$(BUILD)/mithril chain compare $(run) --json $(call chain_rows,$(run),$(CHAIN_SUFFIX)) $(CHAIN_POLICIES) $(CHAIN_ARGS) &&) true
	@+$(foreach run,$(RUN),$(BUILD)/mithril report --figure $(patsubst %.jsonl,%.svg,$(call chain_rows,$(run),$(CHAIN_SUFFIX))) $(call chain_rows,$(run),$(CHAIN_SUFFIX)) &&) true
	$(BUILD)/mithril report --markdown $(CHAIN_RESULTS)/report.md $(CHAIN_RESULTS)/*.jsonl

# The quantizers stand apart: their policies say nothing that those above do not.
CHAIN_RUNS := $(BUILD)/datasets/gpt-pretrain/pretrain $(BUILD)/datasets/recommender-chain/train-fp32
CHAIN_LOSSY := --lossy --files tmpfs -p check-n-run:bits=2 -p check-n-run:bits=4 -p check-n-run:bits=8 \
	$(foreach q,symmetric asymmetric k-means,-p check-n-run:quantizer=$q:bits=4)
results-chain-reference: all
	+$(MAKE) results-chain CHAIN_RESULTS=results/chain RUN="$(CHAIN_RUNS)" CHAIN_ARGS="$(CHAIN_ARGS) --files tmpfs"
	+$(MAKE) results-chain CHAIN_RESULTS=results/chain RUN=$(lastword $(CHAIN_RUNS)) CHAIN_SUFFIX=-lossy CHAIN_EVERY= \
		CHAIN_POLICIES="--policy consecutive" CHAIN_ARGS="$(CHAIN_LOSSY)"

# What of a training state is left over the steps between, on the runs that have them: rows, table and figure in STATES_RESULTS.
STATES_RESULTS ?= $(BUILD)/states
STATES_RUNS ?= states-3e-5 states-3e-4
results-states: all
	@scripts/install_deps.sh report
	MITHRIL=$(BUILD)/mithril scripts/states_curve.sh $(STATES_RESULTS) $(STATES_RUNS)

# What one step of AdamW takes over how its gradients were made: trains each cell, a few minutes; STEPS_ARGS=--variants, --only TEXT.
STEPS_ARGS ?=
results-steps: all
	PYTHONDONTWRITEBYTECODE=1 $(BUILD)/venv-train/bin/python datasets/train/step_matrix.py --mithril $(BUILD)/mithril $(STEPS_ARGS)

# What one step of each optimizer takes that is redone, with one group of parameters and with more: trains each row, two minutes;
# OPTIMIZERS_ARGS="--only TEXT", "--before PROGRAM". OPTIMIZERS_PYTHON: one that has another torch.
OPTIMIZERS_ARGS ?=
OPTIMIZERS_PYTHON ?= $(BUILD)/venv-train/bin/python
results-optimizers: all
	PYTHONDONTWRITEBYTECODE=1 $(OPTIMIZERS_PYTHON) datasets/train/optimizer_matrix.py --mithril $(BUILD)/mithril $(OPTIMIZERS_ARGS)

# Writes the golden sizes, rows and frames of tests/golden/ anew: look at the difference before you commit it.
golden: all $(TESTS)
	@MTH_GOLDEN_WRITE=1 $(RUN_TESTS)/golden $(foreach t,$(TESTS),$(if $(findstring golden,$(notdir $(t))),$(t)))
	MITHRIL=$(BUILD)/mithril scripts/golden_rows.sh tests/golden/sizes.jsonl

# Writes golden containers that are missing; with ALL=1 those too that are there, which the frozen format does not allow.
golden-containers: $(BUILD)/tests/test_golden_containers
	@MTH_GOLDEN_WRITE=$(if $(ALL),all,1) $<

# This tree against another: OLD is a program, for sizes and speeds, or rows of one, for sizes alone (the golden ones where
# nothing is said). The summary is Markdown.
COMPARE_ARGS ?=
COMPARE_OPTIONS ?=
compare:
	@$(call install_groups,build)
	@+$(SUBMAKE) all
	@OLD="$(OLD)" BUILD=$(BUILD) COMPARE_OPTIONS="$(COMPARE_OPTIONS)" scripts/compare.sh $(COMPARE_ARGS)

# Real comparisons, counted: with itself, and with a build that is 5 % slower.
TRIALS ?= 20
TRIAL_SECONDS ?= 120
compare-trials: all
	@+$(SUBMAKE) BUILD=$(BUILD)/planted CPPFLAGS=-DMTH_PLANTED_PCT=5 $(BUILD)/planted/mithril
	@MITHRIL=$(BUILD)/mithril PLANTED=$(BUILD)/planted/mithril scripts/compare_trials.sh $(TRIALS) $(TRIAL_SECONDS)

# Kernels on their own, in cache, each beside memcpy: KERNEL_ARGS="--only rans --json FILE".
bench-kernels: $(BUILD)/bench-kernels
	$(BUILD)/bench-kernels $(KERNEL_ARGS)

hyperfine: all
	@scripts/install_deps.sh report
	MITHRIL=$(BUILD)/mithril scripts/hyperfine.sh

# ---- the code's own rules ----

C_FILES = $(sort $(wildcard $(foreach d,base codecs transforms formats pipeline harness datasets tests examples,\
	$d/*.[ch] $d/*/*.[ch])))
SHELL_FILES = $(wildcard scripts/*.sh scripts/*.sbatch scripts/peers/*.sh tests/*.sh tests/*/*.sh datasets/*/*.sh .ci/run)

format:
	@$(CLANG_FORMAT) -i $(C_FILES)

format-check:
	@$(CLANG_FORMAT) --dry-run -Werror $(C_FILES)

check-dependencies:
	scripts/check_dependencies.sh

lint: check-dependencies
	@$(call install_groups,build test lint)
	@if command -v shellcheck >/dev/null; then shellcheck $(SHELL_FILES); else echo 'no shellcheck: scripts not linted'; fi
	+$(SUBMAKE) BUILD=$(LINT_GCC) CC=gcc WERROR=-Werror everything
	+$(SUBMAKE) BUILD=$(BUILD)/lint-clang CC=$(CLANG) OPT=-O0 WERROR=-Werror everything
	+$(SUBMAKE) BUILD=$(BUILD)/lint-clang CC=$(CLANG) OPT=-O0 tidy

# Of what is shipped; tests are written to break rules.
tidy: $(BUILD)/config.mk
	@printf '%s\n' $(filter-out tests/%,$(filter %.c,$(C_FILES))) | xargs -P $(JOBS) -n 4 sh -c '$(CLANG_TIDY) --quiet "$$@" -- \
		$(filter-out -fPIC,$(MTH_CFLAGS)) -Ipipeline $(CONFIG_CFLAGS) 2>/dev/null' tidy

# ---- installing ----

# What the public header includes, as the compiler sees it, and the checked arithmetic that a plug-in wants.
PUBLIC_HEADERS = base/checked.h $(filter-out pipeline/%,$(patsubst ./%,%,$(filter %.h,$(shell $(CC) -MM -I. pipeline/mithril.h))))
HEADER_DIR = $(DESTDIR)$(INCLUDEDIR)/mithril

$(BUILD)/mithril.pc: mithril.pc.in pipeline/mithril.h $(BUILD)/flags always
	@sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
		-e 's|@VERSION@|$(VERSION)|' -e 's|@LIBS_PRIVATE@|$(CONFIG_LIBS)|' mithril.pc.in >$@

install: all $(BUILD)/mithril.pc
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(MANDIR)/man1 \
		$(addprefix $(HEADER_DIR)/,$(sort $(dir $(PUBLIC_HEADERS))))
	install -m 755 $(BUILD)/mithril $(DESTDIR)$(BINDIR)/mithril
	install -m 644 $(BUILD)/libmithril.a $(DESTDIR)$(LIBDIR)/libmithril.a
	install -m 755 $(BUILD)/libmithril.so $(DESTDIR)$(LIBDIR)/libmithril.so.0
	ln -sf libmithril.so.0 $(DESTDIR)$(LIBDIR)/libmithril.so
	install -m 644 $(BUILD)/mithril.pc $(DESTDIR)$(LIBDIR)/pkgconfig/mithril.pc
	install -m 644 pipeline/mithril.h $(HEADER_DIR)/mithril.h
	for h in $(PUBLIC_HEADERS); do install -m 644 $$h $(HEADER_DIR)/$$h; done
	install -m 644 docs/mithril.1 $(DESTDIR)$(MANDIR)/man1/mithril.1

uninstall:
	rm -f $(DESTDIR)$(BINDIR)/mithril $(DESTDIR)$(LIBDIR)/libmithril.a $(DESTDIR)$(LIBDIR)/libmithril.so \
		$(DESTDIR)$(LIBDIR)/libmithril.so.0 $(DESTDIR)$(LIBDIR)/pkgconfig/mithril.pc \
		$(DESTDIR)$(MANDIR)/man1/mithril.1
	rm -rf $(HEADER_DIR)

clean:
	rm -rf $(BUILD)

help:
	@sed -n 's/^#| //p' Makefile

#| make                  build/mithril, libmithril.a, libmithril.so, the example plug-ins
#| make bench            install what is missing, build, prepare offline data, run the default matrix (BENCH_ARGS=...)
#| make bench-peers      other compressors from PyPI beside our cells, on what is here (docs/peers.md)
#| make test             install what is missing, build, run every test; the last line counts them
#| make test-large       the tests that need more time or space
#| make test-arm         kernels and codecs built for 64-bit Arm, their tests under qemu (Debian; fetches libraries into BUILD)
#| make asan             the tests under AddressSanitizer and UndefinedBehaviorSanitizer
#| make fuzz             search with libFuzzer: FUZZ_OWN_SECONDS for each of our parsers and decoders, FUZZ_SECONDS for each
#|                       library's decoder, FUZZ_ONLY="pickle codec:zstd" for some of them
#| make fuzz-replay      run the corpora with any compiler; fuzz-seeds makes the seeds of codecs and transforms anew
#| make coverage         tests and corpora, and the lines of each parser and decoder of ours that they reach: 85 % or it fails
#| make lint             dependency rules, shellcheck, gcc and clang with -Werror, clang-tidy
#| make format           clang-format; format-check only looks
#| make status           STATUS.md and README's table from the rows of the reference run
#| make results          a new reference run, its tables, figures, page and status
#| make results-pairs    every preset on every pair that is here: rows, table, figures of ratio over change and steps (PAIRS_RESULTS=...)
#| make results-speeds   at what speed pairs go by AVX-512, AVX2 and in plain C: rows, table
#| make check-bounds     the bounds of those rows against numpy's, within 0.1 % (PYTHON=... with numpy); check-frozen: what frozen
#|                       tensors cost beside the trained ones alone
#| make results-chain    what the policies of chains cost on RUN="DIRECTORY...": rows, table, figure (CHAIN_EVERY=..., CHAIN_ARGS="-p fast");
#|                       results-chain-reference: those of results/chain/
#| make results-states   bits a value of training states over the steps between: rows, table, figure
#| make results-steps    what a step of AdamW takes over precision, clipping, accumulation, beta2 and rate, as a table
#| make results-optimizers  what a step of each optimizer takes over groups of parameters, as a table
#| make golden           write the golden files of the tests anew; golden-containers: those containers that are missing
#| make peer-ratios      sizes of pairs by all peers and our presets, as a table; IDS='gpt-finetune' (docs/peers.md)
#| make check-presets    presets of published methods against a second calculation of each, on what is here (docs/presets.md)
#| make compare          sizes of this tree against the golden ones; OLD=PROGRAM: sizes and speeds against another build,
#|                       OLD=ROWS: sizes against its rows (docs/compare.md)
#| make compare-trials   real comparisons with itself and with a slower build, counted
#| make bench-kernels     time each kernel of each instruction set beside memcpy (KERNEL_ARGS=...)
#| make hyperfine        time the command line
#| make install          to PREFIX, under DESTDIR; uninstall takes it away
#| make deps             install every tool that any of these needs
#| make clean            remove BUILD
#| variables             BUILD CC OPT SANITIZE CFLAGS LDFLAGS PREFIX DESTDIR JOBS V=1

-include $(shell [ -d $(BUILD)/obj ] && find $(BUILD)/obj -name '*.d')

.PHONY: all everything always deps bench bench-peers peer-ratios check-presets test test-large test-arm asan coverage fuzz fuzz-replay run-tests run-large-tests run-fuzz run-fuzz-replay fuzz-seeds \
	status results results-pairs results-speeds check-bounds check-frozen results-chain results-states results-steps results-optimizers results-chain-reference golden golden-containers compare compare-trials bench-kernels hyperfine format format-check check-dependencies lint tidy install uninstall clean help
.DELETE_ON_ERROR:
.SECONDARY:
endif
