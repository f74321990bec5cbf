# Kassa's build. One file, not recursive; build/<variant>/ mirrors the tree.
#   make               release binaries          make V=1      show full command lines
#   make VARIANT=asan  with ASan and UBSan       make help     what else there is

VARIANT ?= release
CC      ?= gcc
PREFIX  ?= /usr/local
DESTDIR ?=
CFLAGS  ?= -O2 -g
FUZZ_CC ?= clang-14
LDFLAGS ?=

OUT := build/$(VARIANT)
Q   := $(if $(V),,@)
say  = $(if $(V),,@printf '  %-5s %s\n' '$(1)' '$(2)')

WARN := -std=gnu17 -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Werror
PKGS := libuv librabbitmq hiredis libmicrohttpd json-c
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS))
PKG_LIBS   := $(shell pkg-config --libs $(PKGS))

# What builds for tests add to the catalogue: sagas of the tests' own.
WITH_TEST_MESSAGES := -DKASSA_CATALOGUE_MORE='"test/lib/trip_messages.h"'

VARIANT_CFLAGS_release := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
VARIANT_LDFLAGS_release := -pie -Wl,-z,relro,-z,now
VARIANT_CFLAGS_optimised := $(VARIANT_CFLAGS_release) $(WITH_TEST_MESSAGES)
VARIANT_LDFLAGS_optimised := $(VARIANT_LDFLAGS_release)
VARIANT_CFLAGS_asan := $(WITH_TEST_MESSAGES) -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
VARIANT_LDFLAGS_asan := -fsanitize=address,undefined
VARIANT_CFLAGS_crash := -O1 -DKASSA_CRASH_POINTS
VARIANT_CFLAGS_fuzz := -O1 -fno-omit-frame-pointer -fno-sanitize-recover=undefined \
	-fsanitize=address,undefined,fuzzer-no-link
VARIANT_LDFLAGS_fuzz := -fsanitize=address,undefined
ifeq ($(VARIANT),fuzz)
CC   := $(FUZZ_CC)
WARN := -std=gnu17 # warnings are the other compiler's work; the two do not agree on all
endif

ALL_CFLAGS   = $(CPPFLAGS) $(CFLAGS) $(VARIANT_CFLAGS_$(VARIANT)) $(WARN) -D_GNU_SOURCE -I. -MMD -MP $(PKG_CFLAGS)
ALL_LDFLAGS := $(LDFLAGS) $(VARIANT_LDFLAGS_$(VARIANT))

# Rooms, lowest layer first. Each is an archive; a binary links its own room and those below.
LAYERS   := runtime broker store catalogue idempotency consumer saga checkout
SERVICES := gateway order stock payment
PROGRAMS := $(SERVICES) audit
TOOLS    := load floor
BINARIES := $(PROGRAMS:%=$(OUT)/kassa-%)

# Lua: a library is library.lua, what it builds on, and its own functions, as one C string.
LUA_stock   := store/library.lua idempotency/clock.lua idempotency/once.lua idempotency/folded.lua stock/stock.lua
LUA_payment := store/library.lua idempotency/clock.lua idempotency/once.lua idempotency/folded.lua payment/payment.lua
LUA_order   := store/library.lua idempotency/clock.lua idempotency/once.lua idempotency/folded.lua saga/journal.lua saga/restore.lua order/paid.lua order/order.lua
LUA_key     := store/library.lua idempotency/clock.lua idempotency/key.lua
LUA_trip    := store/library.lua idempotency/clock.lua idempotency/once.lua saga/journal.lua saga/restore.lua test/live/trip.lua

objects = $(patsubst %.c,$(OUT)/%.o,$(filter-out %/main.c,$(wildcard $(1)/*.c)))
ARCHIVES := $(foreach l,$(LAYERS),$(OUT)/$(l).a)

# The gateway's routes: a file for each capability, and the list of them.
API := $(wildcard gateway/api/*.c)
API_OBJECTS := $(API:%.c=$(OUT)/%.o) $(OUT)/gateway/api.o
$(OUT)/gateway/api.c: gateway/api gateway/routes.sh
	$(call say,API,$@)
	@mkdir -p $(@D)
	$(Q)sh gateway/routes.sh $(API) > $@.new && mv $@.new $@
$(OUT)/gateway/api.o: $(OUT)/gateway/api.c
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# `bench` is a directory too.
.PHONY: all bench clean install help check-includes check-docs check-crash check-format check-shell unit world live \
	fuzz shim fuzz-replay
.DEFAULT_GOAL := all
.SECONDARY:

all: $(BINARIES) ## the four services, and the audit

define archive_rule
$(OUT)/$(1).a: $$(call objects,$(1)) $(2)
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach l,runtime broker store catalogue consumer saga,$(eval $(call archive_rule,$(l),)))
$(eval $(call archive_rule,idempotency,$(OUT)/lua/key.o))
$(eval $(call archive_rule,checkout,$(OUT)/lua/order.o)) # the gateway calls it, too

LAYER_ARCHIVES := $(OUT)/checkout.a $(OUT)/saga.a $(OUT)/consumer.a $(OUT)/idempotency.a $(OUT)/catalogue.a $(OUT)/store.a $(OUT)/broker.a $(OUT)/runtime.a

OBJECTS_stock   := $(OUT)/lua/stock.o
OBJECTS_payment := $(OUT)/lua/payment.o
OBJECTS_gateway := $(API_OBJECTS)

define service_rule
$(OUT)/kassa-$(1): $(OUT)/$(1)/main.o $$(call objects,$(1)) $(OBJECTS_$(1)) $(LAYER_ARCHIVES)
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(PKG_LIBS)
endef
$(foreach s,$(PROGRAMS),$(eval $(call service_rule,$(s))))

# The bench's tools: a main for each, and what they share.
BENCH_OBJECTS := $(filter-out $(TOOLS:%=$(OUT)/bench/%.o),$(call objects,bench))
$(TOOLS:%=$(OUT)/kassa-%): $(OUT)/kassa-%: $(OUT)/bench/%.o $(BENCH_OBJECTS) $(OUT)/lua/payment.o $(LAYER_ARCHIVES)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

bench: $(TOOLS:%=$(OUT)/kassa-%) ## build the bench's tools

$(OUT)/%.o: %.c Makefile
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

define lua_rule
$(OUT)/lua/$(1).c: $(LUA_$(1)) deploy/embed.sh catalogue/names.h
	$$(call say,LUA,$(1))
	@mkdir -p $$(@D)
	$$(Q)sh deploy/embed.sh $(1) $(LUA_$(1)) > $$@.new && mv $$@.new $$@
$(OUT)/lua/$(1).o: $(OUT)/lua/$(1).c
	$$(Q)$$(CC) $$(ALL_CFLAGS) -c -o $$@ $$<
endef
$(foreach l,stock payment order key trip,$(eval $(call lua_rule,$(l))))

# Tests: test/unit/<room>/<module>.c and test/live/<name>.c, each one cmocka program that links
# every room; the live ones find their servers through the environment.
TEST_ROOM_OBJECTS := $(foreach s,$(SERVICES),$(call objects,$(s))) $(API_OBJECTS)
TEST_LUA_OBJECTS  := $(foreach l,stock payment trip,$(OUT)/lua/$(l).o)
TEST_LIB_OBJECTS  := $(patsubst %.c,$(OUT)/%.o,$(wildcard test/lib/*.c))
UNIT_TESTS := $(patsubst %.c,$(OUT)/%,$(wildcard test/unit/*/*.c))
LIVE_TESTS := $(patsubst %.c,$(OUT)/%,$(wildcard test/live/*.c))

$(UNIT_TESTS) $(LIVE_TESTS): $(OUT)/%: $(OUT)/%.o $(TEST_LIB_OBJECTS) $(TEST_ROOM_OBJECTS) $(call objects,audit) $(BENCH_OBJECTS) $(TEST_LUA_OBJECTS) $(LAYER_ARCHIVES)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) -lcmocka

# The simulation: the services' own objects on modelled adapters, which come before the archives so
# that the real ones stay out.
WORLD_OBJECTS := $(patsubst %.c,$(OUT)/%.o,$(wildcard test/world/*.c))
$(OUT)/test/world/%.o: CPPFLAGS += $(shell pkg-config --cflags lua5.1)
$(OUT)/test/world/world: $(WORLD_OBJECTS) $(TEST_ROOM_OBJECTS) $(filter-out %/trip.o,$(TEST_LUA_OBJECTS)) $(LAYER_ARCHIVES)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) $(shell pkg-config --libs lua5.1)

world: $(OUT)/test/world/world ## build the simulation

unit: $(UNIT_TESTS) ## build the unit tests
live: $(LIVE_TESTS) ## build the live tests

# The servers of these tests can be made slow.
live: $(OUT)/shim.so
$(OUT)/test/lib/redis_server.o: CPPFLAGS += -DREDIS_SERVER_SHIM='"$(OUT)/shim.so"'

# Fuzz targets: test/fuzz/<target>.c. With VARIANT=fuzz a target is a libFuzzer program; in any other
# variant it replays files, and its corpus is part of the unit tests.
FUZZ_TARGETS := $(filter-out test/fuzz/replay,$(patsubst %.c,%,$(wildcard test/fuzz/*.c)))
FUZZ_TESTS   := $(FUZZ_TARGETS:%=$(OUT)/%)
FUZZ_MAIN    := $(if $(filter fuzz,$(VARIANT)),-fsanitize=fuzzer,$(OUT)/test/fuzz/replay.o)

$(FUZZ_TESTS): $(OUT)/%: $(OUT)/%.o $(filter %.o,$(FUZZ_MAIN)) $(TEST_ROOM_OBJECTS) $(TEST_LUA_OBJECTS) $(LAYER_ARCHIVES)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $(filter -%,$(FUZZ_MAIN)) -o $@ $^ $(PKG_LIBS)

fuzz-replay: $(FUZZ_TESTS) ## build the fuzz targets to replay their corpora
fuzz: ## build the fuzz targets for libFuzzer, into build/fuzz (clang)
	$(Q)$(MAKE) --no-print-directory VARIANT=fuzz fuzz-replay

# What is preloaded into processes whose clock or disk is broken.
shim: $(OUT)/shim.so ## build the shims of the drills and tests

$(OUT)/test/drill/shim/%.o: VARIANT_CFLAGS_$(VARIANT) := -fPIC # it is loaded into any program
$(OUT)/shim.so: $(patsubst %.c,$(OUT)/%.o,$(wildcard test/drill/shim/*.c))
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -shared -o $@ $^ -ldl

check-includes: ## the direction of includes, and one room for each library
	$(Q)sh test/includes.sh

check-docs: ## the tables in docs/ are those in the sources
	$(Q)sh test/docs.sh

check-crash: ## the table of crash points is what the sources call
	$(Q)sh test/crash/points.sh

check-format: ## clang-format agrees with every source
	$(Q)clang-format --dry-run -Werror $$(git ls-files '*.c' '*.h')

check-shell: ## shellcheck agrees with every script
	$(Q)shellcheck -x kassa .ci/run $$(git ls-files '*.sh')

install: all ## into $(DESTDIR)$(PREFIX)/bin
	$(Q)install -d $(DESTDIR)$(PREFIX)/bin
	$(Q)install -m 0755 $(BINARIES) $(DESTDIR)$(PREFIX)/bin

clean: ## remove build/
	$(Q)rm -rf build

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' Makefile

-include $(shell find build -name '*.d' 2>/dev/null)
