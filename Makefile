# hubbub: two commands do everything on a fresh Debian machine: make demo, make test.
#
#   make                 ./hubbub (needs the packages; installs nothing)
#   make PROFILE=        the same without runs of its own in between: builds sooner, simulates slower
#   make demo            packages, build, five peers on real data (ARGS=--json for a program)
#   make test            packages, build, all tests
#   make deps            the packages alone (apt-get, as root or through sudo)
#   make VARIANT=asan test-unit     any target in another build: release asan tsan
#   make convergence     what training must reach (quick; FULL=1 for all of it)
#   make faults          simulated worlds of faults: SEEDS=50 of them, from FIRST=0 on
#   make mutants         planted faults of the protocol, each of which must be found
#   make nightly         the long ones: more seeds, FULL=1, mutants, soak
#   make soak            peers killed and started again for SOAK_S seconds (600)
#   make fuzz            libFuzzer, FUZZ_S seconds each (or as below), seeds in tests/fuzz/corpus
#   make bench           benchmarks, side by side with what they are measured against
#   make bench-allreduce  a straggler, against synchronous all-reduce over MPI
#   make bench-torch     training steps against PyTorch's; fails when a bar is missed

VARIANT ?= release
CC      = gcc
ARCH    ?= native
BUILD   := build/$(VARIANT)$(if $(findstring clang,$(CC)),-clang)

# ---- packages ------------------------------------------------------------------------------
LIBS      := libuv msgpack openblas zlib libxxhash jansson libcrypto
APT_BUILD := gcc pkg-config libuv1-dev libmsgpack-dev libopenblas-dev zlib1g-dev libxxhash-dev \
             libjansson-dev libssl-dev
APT_DATA  := dataset-fashion-mnist
APT_TEST  := libcriterion-dev clang libclang-rt-14-dev python3-numpy python3-xxhash \
             python3-sklearn iproute2 bible-kjv patch
APT_PAGE  := chromium
APT_NODE  := nodejs npm
APT_MPI   := openmpi-bin libopenmpi-dev
APT_TORCH := python3-torch libblis4-serial

have_page  = command -v chromium >/dev/null
have_node  = command -v node >/dev/null && command -v npm >/dev/null
have_mpi   = command -v mpirun >/dev/null && pkg-config --exists ompi-c
have_torch = /usr/bin/python3 -c 'import torch' 2>/dev/null && ls /usr/lib/*/blis-serial/libblas.so.3 >/dev/null 2>&1
have_build = command -v $(CC) >/dev/null && command -v pkg-config >/dev/null && \
             pkg-config --exists $(LIBS)
have_data  = test -r /usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz
have_test  = pkg-config --exists criterion && command -v clang >/dev/null && command -v ip >/dev/null && \
             command -v bible >/dev/null && command -v patch >/dev/null && \
             test -e "$$(clang -print-runtime-dir)/libclang_rt.fuzzer-$$(uname -m).a" && \
             /usr/bin/python3 -c 'import numpy, xxhash, sklearn' 2>/dev/null

# $(call apt,PACKAGES): installs them, printing the line it runs.
define apt
sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; set -e; \
echo "$$sudo apt-get install -y --no-install-recommends $(1)" >&2; \
$$sudo apt-get update -qq; \
DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y --no-install-recommends $(1) >/dev/null
endef

# ---- sources -------------------------------------------------------------------------------
ROOMS   := base data model net node sim
SRC     := $(wildcard $(addsuffix /*.c,$(ROOMS) bench))
OBJ     := $(SRC:%.c=$(BUILD)/%.o)
UNIT    := $(wildcard tests/unit/*.c) $(wildcard tests/support/*.c)
UNIT_O  := $(UNIT:%.c=$(BUILD)/%.o)
THEORY  := $(wildcard tests/convergence/*.c)
THEORY_B := $(THEORY:%.c=$(BUILD)/%)
PLAIN   := $(wildcard tests/property/*.c) $(wildcard tests/race/*.c) $(THEORY)
PLAIN_B := $(PLAIN:%.c=$(BUILD)/%)
FUZZ    := $(wildcard tests/fuzz/*.c)
FUZZ_B  := $(FUZZ:%.c=$(BUILD)/%)

OPT_release := -O3
OPT_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
               -fno-omit-frame-pointer
OPT_tsan    := -O1 -g -fsanitize=thread
OPT_fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all \
               -fno-omit-frame-pointer

WARN   := -Wall -Wextra -Wshadow -Wconversion -Wswitch-enum -Wstrict-prototypes \
          -Wmissing-prototypes -Wvla -Wno-missing-field-initializers -Werror
CFLAGS := -std=c11 -D_GNU_SOURCE -g -march=$(ARCH) -ffp-contract=off -fno-math-errno $(WARN) \
          $(OPT_$(VARIANT)) -I. $(shell pkg-config --cflags $(LIBS) 2>/dev/null) -MMD -MP
LDLIBS := $(shell pkg-config --libs $(LIBS) 2>/dev/null) -lpthread -lm

# ---- building ------------------------------------------------------------------------------
.PHONY: all deps deps-build deps-data deps-test deps-torch demo test test-unit test-property test-race \
        test-system test-floors build-tests convergence faults mutants nightly soak fuzz fuzz-run bench bench-torch \
        bench-allreduce deps-mpi \
        install clean
.DELETE_ON_ERROR:
# make V=1 shows the whole command lines.
Q := $(if $(V),,@)
say = @echo "  $(1)  $@"

# ./hubbub is a release, of any compiler: what is built for a test stays where it is.
all: $(BUILD)/hubbub
	@$(if $(filter release,$(VARIANT)),ln -sf $(BUILD)/hubbub hubbub,echo "$(BUILD)/hubbub")

# What a node-update of the simulator runs through makes 20 KB of instructions, which a processor
# that two share cannot keep near. For hubbub itself (the tests link each file as it is) gcc compiles
# it as one piece, knowing from runs of bench/profile what is rare: a tenth to a fifth faster, and the
# same results. PROFILE=: without, for who changes these files often.
PROFILE := $(if $(findstring release,$(VARIANT)),$(if $(findstring clang,$(CC)),,yes))
HOT := $(if $(PROFILE),base/rng data/batches data/dataset data/partition model/learner net/gossip \
       sim/calendar sim/dist sim/engine sim/network sim/parcels sim/peer sim/speed sim/topology)
COUNTED  := $(HOT:%=$(BUILD)/counted/%.o)
PROFILED := $(HOT:%=$(BUILD)/profiled/%.o)
OTHERS   := $(filter-out $(HOT:%=$(BUILD)/%.o),$(BUILD)/main.o $(OBJ))

$(BUILD)/hubbub: $(OTHERS) $(PROFILED)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(if $(HOT),$(by_profile) -flto=auto) $^ -o $@ $(LDLIBS)

# Where a file was never run it is compiled as ever, and gcc says so: -w.
by_profile := -w -fprofile-use -fprofile-partial-training
# Where the counts of a file are; they hold for an object of this name only.
counts = -dumpbase $(BUILD)/counts/$*.c -MF $(@:.o=.d)

$(BUILD)/profiled/%.o: %.c $(BUILD)/counted/done
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(call own_flags,$<) $(counts) $(by_profile) -flto -c $< -o $@

$(BUILD)/counted/done: bench/profile $(BUILD)/counted/hubbub
	$(call say,RUN)
	$(Q)rm -rf $(BUILD)/counts
	$(Q)bench/profile $(BUILD)/counted/hubbub || \
	{ echo "'make PROFILE=' builds hubbub without these runs" >&2; exit 1; }
	@touch $@

# Its other files may change: the counts stay true.
$(BUILD)/counted/hubbub: $(COUNTED) | $(OTHERS)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) -fprofile-generate $^ $| -o $@ $(LDLIBS)

$(BUILD)/counted/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(call own_flags,$<) $(counts) -fprofile-generate -fprofile-update=single \
	-c $< -o $@

$(BUILD)/tests/unit/run: $(UNIT_O) $(OBJ)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $^ -o $@ $(LDLIBS) -lcriterion

$(PLAIN_B): %: %.o $(OBJ)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $^ -o $@ $(LDLIBS)

$(BUILD)/tests/property/theory: $(BUILD)/tests/support/cores.o
# The fuzzer's check, on frames from a generator.
$(BUILD)/tests/property/frames: $(BUILD)/tests/fuzz/frame.o

$(THEORY_B): $(addprefix $(BUILD)/tests/support/,bounds.o files.o)

$(FUZZ_B): %: %.o $(OBJ)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) -fsanitize=fuzzer $^ -o $@ $(LDLIBS)

# What is compiled otherwise than the rest. Neighbouring fields as one vector: for kernels. Elsewhere
# they were stored one by one just before, and the processor waits until all have left its store
# buffer. XXH3 adds two numbers a stripe to its sums, and gcc lines all of them up, each waiting for
# the one before; told that the processor adds several at a time it does not: 2.6 times as fast with
# AVX-512.
slp     := -fno-tree-slp-vectorize
reassoc := $(if $(findstring clang,$(CC)),,--param tree-reassoc-width=4)
own_flags = $(if $(filter data/% net/% node/% sim/% model/learner.c,$(1)),$(slp)) \
            $(if $(filter net/wire.c,$(1)),$(reassoc))

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(call own_flags,$<) -c $< -o $@

# What the assembler reads into it.
$(BUILD)/sim/page.o: $(wildcard sim/page/*.* sim/page/uplot/*)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

clean:
	rm -rf build hubbub

PREFIX ?= /usr/local
# $(call install_page,KIND,PLACE): what the program itself prints.
install_page = $(BUILD)/hubbub docs $(1) >$(BUILD)/hubbub.$(1) && \
               install -D -m 644 $(BUILD)/hubbub.$(1) $(DESTDIR)$(PREFIX)/share/$(2)
install: all
	install -D -m 755 $(BUILD)/hubbub $(DESTDIR)$(PREFIX)/bin/hubbub
	$(call install_page,man,man/man1/hubbub.1)
	$(call install_page,bash,bash-completion/completions/hubbub)
	$(call install_page,zsh,zsh/site-functions/_hubbub)
	$(call install_page,fish,fish/vendor_completions.d/hubbub.fish)

# ---- packages ------------------------------------------------------------------------------
deps: deps-build deps-data deps-test
deps-build:
	@$(have_build) || { $(call apt,$(APT_BUILD)); }
deps-data:
	@$(have_data) || { $(call apt,$(APT_DATA)); }
deps-test:
	@$(have_test) || { $(call apt,$(APT_TEST)); }
	@$(have_page) || { $(call apt,$(APT_PAGE)); }
	@$(have_node) || { $(call apt,$(APT_NODE)); }
deps-mpi:
	@$(have_mpi) || { $(call apt,$(APT_MPI)); }
# 600 MB, so only where it is asked for: tests/system/model_files compares with it when it is there.
deps-torch:
	@$(have_torch) || { $(call apt,$(APT_TORCH)); }

# ---- running -------------------------------------------------------------------------------
# A fresh make after deps: pkg-config's answers are read when make starts.
demo: deps-build deps-data
	@$(MAKE) --no-print-directory -s -j2 all >&2
	@./hubbub demo $(ARGS)

test: deps
	@$(MAKE) --no-print-directory -j2 all
	@$(MAKE) --no-print-directory test-floors test-unit test-property test-race test-system

# Criterion exits 0 when no test matched, so the count is checked.
test-unit: $(BUILD)/tests/unit/run
	LSAN_OPTIONS=suppressions=tests/support/lsan.supp:print_suppressions=0 \
	timeout 600 $< --jobs 2 > $(BUILD)/unit.log 2>&1; rc=$$?; tail -40 $(BUILD)/unit.log; \
	grep -q 'Tested: [^0|]*[1-9]' $(BUILD)/unit.log && exit $$rc
test-property: $(patsubst %.c,$(BUILD)/%,$(wildcard tests/property/*.c))
	@for t in $^; do echo "== $$t ($$(date +%T))"; timeout 600 $$t || exit 1; done
test-race: $(patsubst %.c,$(BUILD)/%,$(wildcard tests/race/*.c))
	@for t in $^; do echo "== $$t ($$(date +%T))"; timeout 600 $$t || exit 1; done
# What drives the browser of tests/system/report, from npm.
PLAYWRIGHT := build/node_modules/playwright-core/package.json
$(PLAYWRIGHT):
	$(call say,NPM)
	$(Q)npm install --prefix build --no-save --no-package-lock --ignore-scripts --no-audit --no-fund \
	    playwright-core@1.65.1 >/dev/null
# Those that measure no time and open no port go two at a time.
TOGETHER := data_commands data_files model_files options report study topo
test-system: all $(PLAYWRIGHT)
	@printf '%s\n' $(TOGETHER) | xargs -P 2 -I@ sh -c 'HUBBUB=./$(BUILD)/hubbub timeout 900 \
	tests/system/@ >$(BUILD)/@.log 2>&1; rc=$$?; echo "== tests/system/@"; cat $(BUILD)/@.log; exit $$rc'
	@for t in $(filter-out $(TOGETHER:%=tests/system/%),$(wildcard tests/system/*)); do \
	[ -x $$t -a -f $$t ] || continue; echo "== $$t ($$(date +%T))"; \
	HUBBUB=./$(BUILD)/hubbub timeout 900 $$t || exit 1; done
build-tests: $(BUILD)/hubbub $(BUILD)/tests/unit/run $(PLAIN_B)
convergence: all $(THEORY_B)
	@for t in $(THEORY_B) $(filter-out %.c,$(wildcard tests/convergence/*)); do echo "== $$t ($$(date +%T))"; \
	HUBBUB=./$(BUILD)/hubbub timeout 1800 $$t || exit 1; done
nightly: all $(BUILD)/tests/property/gossip $(BUILD)/tests/property/theory
	$(BUILD)/tests/property/gossip 0 20000
	@$(MAKE) --no-print-directory SEEDS=1000 faults
	@$(MAKE) --no-print-directory mutants
	FULL=1 $(BUILD)/tests/property/theory
	@$(MAKE) --no-print-directory FULL=1 convergence
	@$(MAKE) --no-print-directory test-system
	@$(MAKE) --no-print-directory soak
SEEDS ?= 50
FIRST ?= 0
faults: all
	./$(BUILD)/hubbub sim --faults $(SEEDS) --seed $(FIRST)
# ONLY=NAME: one of them.
mutants: deps-test
	tests/mutants/run $(ONLY)
# SOAK_S seconds each (600).
soak: all
	@for t in tests/soak/*; do echo "== $$t ($$(date +%T))"; HUBBUB=./$(BUILD)/hubbub $$t || exit 1; done
FUZZ_S_frame := 30
FUZZ_S_stream := 30
FUZZ_S_config := 30
fuzz_s = $(or $(FUZZ_S),$(FUZZ_S_$(1)),10)
# The largest allocation: a peer's bytes decide of none, a file's of as much as it explains.
fuzz_mb = $(if $(filter frame stream config,$(1)),1,128)
fuzz:
	@$(MAKE) --no-print-directory -j2 VARIANT=fuzz CC=clang fuzz-run
fuzz-run: $(FUZZ_B)
	@printf '%s\n' $(foreach f,$(notdir $^),$(f):$(call fuzz_s,$(f)):$(call fuzz_mb,$(f))) | \
	xargs -P 2 -I@ tests/fuzz/run $(BUILD) @
bench: all
	taskset -c 1 ./$(BUILD)/hubbub bench train
	taskset -c 1 ./$(BUILD)/hubbub bench train --optimizer qgm
	./$(BUILD)/hubbub bench exchange --floor
	./$(BUILD)/hubbub bench gossip
	./$(BUILD)/hubbub bench straggler
	./$(BUILD)/hubbub bench scaling
	./$(BUILD)/hubbub bench sim
# All-reduce over MPI, with our kernels: built for this comparison only.
ALLREDUCE := $(BUILD)/bench/mpi/allreduce
$(ALLREDUCE).o: CFLAGS += $(shell pkg-config --cflags ompi-c 2>/dev/null)
$(ALLREDUCE): $(ALLREDUCE).o $(OBJ)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $^ -o $@ $(LDLIBS) $(shell pkg-config --libs ompi-c)
bench-allreduce: deps-data deps-mpi
	@$(MAKE) --no-print-directory -j2 all $(ALLREDUCE)
	./$(BUILD)/hubbub bench straggler --allreduce $(ALLREDUCE)
bench-torch: deps-data deps-torch all
	HUBBUB=./$(BUILD)/hubbub bench/torch
test-floors: $(OBJ)
	@BUILD=$(BUILD) tests/floors
