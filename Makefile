# mithril: `make` builds, `make bench` and `make test` do everything from nothing.

BUILD ?= build
CC ?= cc
PREFIX ?= /usr/local
OPT ?= -O3 -g
SANITIZE ?=

WARNINGS := -Wall -Wextra -Wshadow -Wconversion
MTH_CFLAGS := -std=c11 -D_POSIX_C_SOURCE=200809L -fPIC -ffp-contract=off $(WARNINGS) -I. -I$(BUILD)

ifneq ($(filter-out clean format,$(or $(MAKECMDGOALS),all)),)
-include $(BUILD)/config.mk
endif

LIB_SOURCES := $(wildcard base/*.c codecs/*.c codecs/*/*.c transforms/*.c transforms/*/*.c formats/*.c pipeline/*.c pipeline/*/*.c)
PROGRAM_SOURCES := $(wildcard harness/*.c datasets/*.c)
LIB_OBJECTS := $(LIB_SOURCES:%.c=$(BUILD)/obj/%.o)
PROGRAM_OBJECTS := $(PROGRAM_SOURCES:%.c=$(BUILD)/obj/%.o)

# A test program is tests/test_*.c; what they share is tests/support/*.c.
TESTS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/test_*.c))
TEST_SUPPORT := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/support/*.c))

all: $(BUILD)/mithril $(BUILD)/libmithril.a $(BUILD)/libmithril.so

$(BUILD)/config.mk: scripts/configure.sh scripts/libraries.tsv
	CC="$(CC)" scripts/configure.sh $(BUILD)

$(BUILD)/obj/%.o: %.c $(BUILD)/config.mk
	@mkdir -p $(@D)
	$(CC) $(MTH_CFLAGS) $(CONFIG_CFLAGS) $(OPT) $(SANITIZE) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libmithril.a: $(LIB_OBJECTS)
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/libmithril.so: $(LIB_OBJECTS)
	$(CC) -shared $(SANITIZE) $(LDFLAGS) -Wl,-soname,libmithril.so.0 -o $@ $^ $(CONFIG_LIBS)

# -rdynamic: plug-ins call the allocator and the helpers of the program that loads them.
$(BUILD)/mithril: $(PROGRAM_OBJECTS) $(LIB_OBJECTS)
	$(CC) $(SANITIZE) $(LDFLAGS) -rdynamic -o $@ $^ $(CONFIG_LIBS)

$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(TEST_SUPPORT) $(BUILD)/libmithril.a
	@mkdir -p $(@D)
	$(CC) $(SANITIZE) $(LDFLAGS) -rdynamic -o $@ $(filter %.o,$^) -Wl,--whole-archive $(BUILD)/libmithril.a -Wl,--no-whole-archive $(CONFIG_LIBS) $(CONFIG_TEST_LIBS)

clean:
	rm -rf $(BUILD)

-include $(shell [ -d $(BUILD)/obj ] && find $(BUILD)/obj -name '*.d')

.PHONY: all clean
.SECONDARY:
