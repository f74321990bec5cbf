# Kassa's build. One file, not recursive; build/<variant>/ mirrors the tree.
#   make               release binaries          make V=1      show full command lines
#   make VARIANT=asan  with ASan and UBSan       make help     what else there is

VARIANT ?= release
CC      ?= gcc
CFLAGS  ?= -O2 -g
FUZZ_CC ?= clang-14
PREFIX  ?= /usr/local
OUT     := build/$(VARIANT)
Q       := $(if $(V),,@)
say      = $(if $(V),,@printf '  %-5s %s\n' '$(1)' '$(2)')

# Warnings are the other compiler's work: that of the fuzz targets does not agree on all.
WARN := $(if $(filter fuzz,$(VARIANT)),,-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Werror)
PKGS := libuv librabbitmq hiredis libmicrohttpd json-c
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS))
PKG_LIBS   := $(shell pkg-config --libs $(PKGS))
# What builds for tests add to the catalogue: sagas of the tests' own.
WITH_TEST_MESSAGES := -DKASSA_CATALOGUE_MORE='"test/lib/trip_messages.h"'
VARIANT_CFLAGS_release := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
VARIANT_LDFLAGS_release := -pie -Wl,-z,relro,-z,now
VARIANT_CFLAGS_optimised := $(VARIANT_CFLAGS_release) $(WITH_TEST_MESSAGES)
VARIANT_LDFLAGS_optimised := $(VARIANT_LDFLAGS_release)
VARIANT_CFLAGS_crash := -O1 -DKASSA_CRASH_POINTS
SANITIZE := -fsanitize=address,undefined
SANITIZED := -O1 -fno-omit-frame-pointer -fno-sanitize-recover=undefined $(SANITIZE)
VARIANT_CFLAGS_asan := $(WITH_TEST_MESSAGES) $(SANITIZED)
VARIANT_LDFLAGS_asan := $(SANITIZE)
VARIANT_CFLAGS_fuzz := $(SANITIZED) -fsanitize=fuzzer-no-link
VARIANT_LDFLAGS_fuzz := $(SANITIZE)
CC := $(if $(filter fuzz,$(VARIANT)),$(FUZZ_CC),$(CC))
ALL_CFLAGS   = $(CPPFLAGS) $(CFLAGS) $(VARIANT_CFLAGS_$(VARIANT)) -std=gnu17 $(WARN) -D_GNU_SOURCE -I. -MMD -MP $(PKG_CFLAGS)
ALL_LDFLAGS := $(LDFLAGS) $(VARIANT_LDFLAGS_$(VARIANT))

# Rooms, highest layer first. Each is an archive; a binary links its own room and those below.
LAYERS   := checkout saga consumer idempotency catalogue store broker runtime
SERVICES := $(shell awk '/^[a-z]/ {print $$1}' services)
BINARIES := $(patsubst %,$(OUT)/kassa-%,$(SERVICES) audit)
ARCHIVES := $(LAYERS:%=$(OUT)/%.a)

# Lua: a library is what each has, and its own files, as one C string. Those of services are in the list.
LUA_ONCE     := store/library.lua idempotency/clock.lua idempotency/once.lua
LUA_SERVICES := $(shell awk '/^[a-z]/ && $$10 != "-" {print $$1}' services)
LUA_key      := store/library.lua idempotency/clock.lua idempotency/key.lua
LUA_trip     := $(LUA_ONCE) saga/journal.lua saga/restore.lua test/live/trip.lua
$(foreach s,$(LUA_SERVICES),$(eval LUA_$(s) := $(LUA_ONCE) \
	$(shell awk '$$1 == "$(s)" {gsub(/,|$$/, ".lua ", $$10); print $$10}' services)))

objects = $(patsubst %.c,$(OUT)/%.o,$(filter-out %/main.c,$(wildcard $(1)/*.c)))
lua     = $(patsubst %,$(OUT)/lua/%.o,$(1))

.PHONY: $(shell sed -n 's/^\([a-z-]*\):.* [#]\# .*/\1/p' Makefile)
.DEFAULT_GOAL := all
.SECONDARY:

$(OUT)/%.o: %.c Makefile
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

LIBRARIES := $(LUA_SERVICES) key trip
$(foreach l,$(LIBRARIES),$(eval $(OUT)/lua/$(l).c: $(LUA_$(l))))
$(LIBRARIES:%=$(OUT)/lua/%.c): $(OUT)/lua/%.c: deploy/embed.sh services catalogue/names.h
	$(call say,LUA,$*)
	@mkdir -p $(@D)
	$(Q)sh deploy/embed.sh $* $(LUA_$*) > $@.new && mv $@.new $@
$(call lua,$(LIBRARIES)) $(OUT)/gateway/api.o: %.o: %.c Makefile
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(foreach l,$(LAYERS),$(eval $(OUT)/$(l).a: $(call objects,$(l))))
$(OUT)/idempotency.a: $(call lua,key)
$(OUT)/checkout.a: $(call lua,order) # the gateway calls it, too
$(ARCHIVES):
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(foreach s,$(SERVICES) audit,$(eval $(OUT)/kassa-$(s): \
	$(OUT)/$(s)/main.o $(call objects,$(s)) $(call lua,$(filter $(s),$(LUA_SERVICES))) $(ARCHIVES)))

# The gateway's routes: a file for each capability, and the list of them.
API_OBJECTS := $(patsubst %.c,$(OUT)/%.o,$(wildcard gateway/api/*.c)) $(OUT)/gateway/api.o
$(OUT)/gateway/api.c: gateway/api gateway/routes.sh
	$(call say,API,$@)
	@mkdir -p $(@D)
	$(Q)sh gateway/routes.sh gateway/api/*.c > $@.new && mv $@.new $@
$(OUT)/kassa-gateway: $(API_OBJECTS)

# The bench's tools: a main for each, and what they share.
BENCH_OBJECTS := $(filter-out %/load.o %/floor.o,$(call objects,bench))
BENCH_TOOLS   := $(OUT)/kassa-load $(OUT)/kassa-floor
$(BENCH_TOOLS): $(OUT)/kassa-%: $(OUT)/bench/%.o $(BENCH_OBJECTS) $(call lua,payment) $(ARCHIVES)

# Tests: test/unit/<room>/<module>.c and test/live/<name>.c, each one cmocka program that links
# every room; the live ones find their servers through the environment, and can make them slow.
ROOM_OBJECTS := $(foreach s,$(SERVICES),$(call objects,$(s))) $(API_OBJECTS)
ROOM_LUA     := $(call lua,$(filter-out order,$(LUA_SERVICES)))
UNIT_TESTS   := $(patsubst %.c,$(OUT)/%,$(wildcard test/unit/*/*.c))
LIVE_TESTS   := $(patsubst %.c,$(OUT)/%,$(wildcard test/live/*.c))
$(UNIT_TESTS) $(LIVE_TESTS): LIBS := -lcmocka
$(UNIT_TESTS) $(LIVE_TESTS): $(OUT)/%: $(OUT)/%.o $(call objects,test/lib) $(ROOM_OBJECTS) \
	$(call objects,audit) $(BENCH_OBJECTS) $(ROOM_LUA) $(call lua,trip) $(ARCHIVES)
$(OUT)/test/lib/redis_server.o: CPPFLAGS += -DREDIS_SERVER_SHIM='"$(OUT)/shim.so"'

# The simulation: the services' own objects on modelled adapters, ahead of the archives' real ones.
WORLD := $(OUT)/test/world/world
$(OUT)/test/world/%.o: CPPFLAGS += $(shell pkg-config --cflags lua5.1)
$(WORLD): LIBS := $(shell pkg-config --libs lua5.1)
$(WORLD): $(patsubst %.c,$(OUT)/%.o,$(wildcard test/world/*.c)) $(ROOM_OBJECTS) $(ROOM_LUA) $(ARCHIVES)

# Fuzz targets: test/fuzz/<target>.c. With VARIANT=fuzz a target is a libFuzzer program; in any other
# variant it replays files, and its corpus is part of the unit tests.
FUZZ_TESTS := $(filter-out %/replay,$(patsubst %.c,$(OUT)/%,$(wildcard test/fuzz/*.c)))
FUZZ_MAIN  := $(if $(filter fuzz,$(VARIANT)),,$(OUT)/test/fuzz/replay.o)
$(FUZZ_TESTS): LIBS := $(if $(FUZZ_MAIN),,-fsanitize=fuzzer)
$(FUZZ_TESTS): $(OUT)/%: $(OUT)/%.o $(FUZZ_MAIN) $(ROOM_OBJECTS) $(ROOM_LUA) $(call lua,trip) $(ARCHIVES)

# What is preloaded into processes whose clock or disk is broken. It may be any program.
$(OUT)/test/drill/shim/%.o: VARIANT_CFLAGS_$(VARIANT) := -fPIC
$(OUT)/shim.so: ALL_LDFLAGS := $(LDFLAGS) -shared
$(OUT)/shim.so: PKG_LIBS := -ldl
$(OUT)/shim.so: $(patsubst %.c,$(OUT)/%.o,$(wildcard test/drill/shim/*.c))

$(BINARIES) $(BENCH_TOOLS) $(UNIT_TESTS) $(LIVE_TESTS) $(WORLD) $(FUZZ_TESTS) $(OUT)/shim.so:
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) $(LIBS)

all: $(BINARIES) ## the services, and the audit
bench: $(BENCH_TOOLS) ## build the bench's tools
unit: $(UNIT_TESTS) ## build the unit tests
live: $(LIVE_TESTS) $(OUT)/shim.so ## build the live tests
world: $(WORLD) ## build the simulation
fuzz-replay: $(FUZZ_TESTS) ## build the fuzz targets to replay their corpora
fuzz: ; $(Q)$(MAKE) --no-print-directory VARIANT=fuzz fuzz-replay ## build the fuzz targets for libFuzzer, into build/fuzz (clang)
shim: $(OUT)/shim.so ## build the shims of the drills and tests

generate: ; $(Q)sh deploy/generate/generate.sh ## make anew what follows from the list of services
check-generated: ; $(Q)sh deploy/generate/generate.sh --check ## what follows from the list of services is not stale
check-includes: ; $(Q)sh test/includes.sh ## the direction of includes, and one room for each library
check-docs: ; $(Q)sh test/docs.sh ## the tables in docs/ are those in the sources
check-crash: ; $(Q)sh test/crash/points.sh ## the table of crash points is what the sources call
check-format: ; $(Q)clang-format --dry-run -Werror $$(git ls-files '*.c' '*.h') ## clang-format agrees with every source
check-shell: ; $(Q)shellcheck -x kassa .ci/run $$(git ls-files '*.sh') ## shellcheck agrees with every script
install: all ## into $(DESTDIR)$(PREFIX)/bin
	$(Q)install -D -m 0755 -t $(DESTDIR)$(PREFIX)/bin $(BINARIES)
clean: ; $(Q)rm -rf build ## remove build/
help: ; @awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' Makefile ## this list

-include $(shell find build -name '*.d' 2>/dev/null)
