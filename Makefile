# Builds ./tidemill and its tests. `make help` lists the targets.
PKGS    := luajit rdkafka libpq simdjson libmicrohttpd
PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= cc
CXX     ?= c++
PKG_CONFIG ?= pkg-config
BUILD   ?= build
# What the build is called, and what the tests run: a debug build has its own.
BIN     ?= tidemill
DEMO_SECONDS ?= 30
# make Q= prints the commands.
Q       ?= @

OPT     ?= -O2 -g -D_FORTIFY_SOURCE=2
WARN    := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
# -fPIC rather than -fPIE: the same objects also go into the library that the
# core specs load.
HARDEN  := -fstack-protector-strong -fPIC -Wformat -Werror=format-security
# The packages' headers do not meet our warnings, so they are system headers.
CPPFLAGS += -Iruntime -I$(BUILD) -D_GNU_SOURCE -DTIDEMILL_PREFIX='"$(PREFIX)"' \
            $(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null))
CFLAGS  += -std=c11 $(OPT) $(WARN) $(HARDEN) $(SAN)
CXXFLAGS += -std=c++17 $(OPT) -Wall -Wextra $(HARDEN) $(SAN)
# LuaJIT's ffi.C finds the tm_* functions in the executable itself.
EXPORT  := -Wl,--export-dynamic-symbol='tm_*'
LDFLAGS += -Wl,-z,relro,-z,now $(SAN)
LIBS    = $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null) -lev -lm

SRC  := $(sort $(wildcard runtime/*.c runtime/*/*.c runtime/*/*/*.c))
SRCX := $(sort $(wildcard runtime/*/*.cc runtime/*/*/*.cc))
OBJ  := $(SRC:%.c=$(BUILD)/%.o) $(SRCX:%.cc=$(BUILD)/%.o)
# Everything that specs drive without a process around it.
SPECLIB := $(BUILD)/libtidemill-spec.so
SPECOBJ := $(filter-out $(BUILD)/runtime/main.o $(BUILD)/runtime/cli/% \
             $(BUILD)/runtime/supervise/%,$(OBJ)) \
           $(addprefix $(BUILD)/runtime/supervise/,hangup.o notify.o process.o slot.o \
             totals.o vitals.o watchdog.o) \
           $(BUILD)/runtime/cli/table.o

$(BIN): $(OBJ)
	@echo '  link  $@'
	$(Q)$(CXX) -pie $(EXPORT) $(LDFLAGS) -o $@ $^ $(LIBS)

$(SPECLIB): $(SPECOBJ)
	@echo '  link  $@'
	$(Q)$(CXX) -shared $(LDFLAGS) -o $@ $^ $(LIBS)

# What spec/faults breaks things with: a proxy that cuts connections, and a
# library that makes calls fail. Neither is part of the program.
FAULT_TOOLS := $(BUILD)/proxy $(BUILD)/preload.so

$(BUILD)/proxy: $(wildcard spec/faults/proxy*.c) $(wildcard spec/faults/proxy*.h)
	@mkdir -p $(@D)
	@echo '  cc    $@'
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -O2 -g $(WARN) -o $@ $(filter %.c,$^)

# The compiler must not take its malloc for one that cannot fail.
$(BUILD)/preload.so: spec/faults/preload.c spec/faults/preload.h
	@mkdir -p $(@D)
	@echo '  cc    $@'
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -O2 -g $(WARN) -fPIC -shared -fno-builtin \
	  -o $@ $< -ldl

# First: whether the machine will do.
PLATFORM := $(BUILD)/runtime/base/platform.o
$(filter-out $(PLATFORM),$(OBJ)): | $(PLATFORM)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo '  cc    $<'
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# What `init` writes is in the binary.
$(BUILD)/runtime/cli/init/init_files.o: $(shell find examples/first -type f)
$(BUILD)/runtime/cli/chapters.o: scripts/README.md scripts/tidemill/testing/README.md rules/README.md \
  examples/README.md runtime/cli/README.md runtime/admin/README.md
# The symbols of what the assembler includes are not found under LTO.
$(addprefix $(BUILD)/runtime/,cli/init/init_files.o cli/chapters.o lua/host.o): CFLAGS += -fno-lto

$(BUILD)/%.o: %.cc
	@mkdir -p $(@D)
	@echo '  c++   $<'
	$(Q)$(CXX) $(CPPFLAGS) $(CXXFLAGS) -MMD -MP -c -o $@ $<

# Workers over fakes of librdkafka, libpq and the loop, in virtual time: links
# all of the runtime below the supervisor but what the fakes stand for.
SIMULATE := $(BUILD)/simulate/simulate
SIMOBJ   := $(patsubst %.c,$(BUILD)/%.o,$(wildcard spec/simulate/*.c)) \
            $(filter-out $(addprefix $(BUILD)/runtime/,base/loop.o \
              $(addprefix kafka/,embedded.o source_group.o peek.o producer.o tail.o)), \
              $(filter $(addprefix $(BUILD)/runtime/,base/% model/% decode/% \
                kafka/% postgres/wire/% postgres/sql/% postgres/store/% lua/% \
                flow/%),$(OBJ)))
SIMLIBS   = $(shell $(PKG_CONFIG) --libs luajit simdjson 2>/dev/null) -lm
comma    := ,
SIMWRAP  := $(addprefix -Wl$(comma)--wrap=,eventfd read write close log_line \
              engine_open)

$(BUILD)/spec/simulate/%.o: CPPFLAGS += -Ispec/simulate
$(SIMULATE): $(SIMOBJ)
	@mkdir -p $(@D)
	@echo '  link  $@'
	@ln -sfn ../../scripts $(@D)/scripts
	$(Q)$(CXX) $(EXPORT) $(SIMWRAP) $(LDFLAGS) -o $@ $^ $(SIMLIBS)
simulate: $(SIMULATE)

# The fuzz targets, each with what drives it: replay.c, which runs files, or
# (FUZZER=) libFuzzer, which is clang's.
FUZZ    := json envelope cells words admin pipeline
FUZZBIN := $(FUZZ:%=$(BUILD)/fuzz/%)
FUZZOBJ := $(addprefix $(BUILD)/spec/fuzz/,input.o oracle.o grammar.o)
FUZZER  ?= $(BUILD)/spec/fuzz/replay.o

.SECONDARY: $(FUZZ:%=$(BUILD)/spec/fuzz/%.o) $(FUZZOBJ) $(FUZZER)
$(BUILD)/fuzz/%: $(BUILD)/spec/fuzz/%.o $(FUZZOBJ) $(FUZZER) \
    $(filter-out $(BUILD)/runtime/main.o,$(OBJ))
	@mkdir -p $(@D)
	@echo '  link  $@'
	@ln -sfn ../../scripts $(@D)/scripts
	$(Q)$(CXX) $(EXPORT) $(LDFLAGS) $(FUZZER_FLAG) -o $@ $^ $(LIBS)

fuzz-targets: $(FUZZBIN)

-include $(OBJ:.o=.d) $(wildcard $(BUILD)/spec/fuzz/*.d \
  $(BUILD)/spec/simulate/*.d)

##  debug     build-debug/tidemill, with AddressSanitizer and UBSan
# Plain char has no sign on arm64, and here: specs find what depends on it.
DEBUG = $(MAKE) --no-print-directory BUILD=build-debug BIN=build-debug/tidemill \
  OPT='-O1 -g -funsigned-char' SAN='-fsanitize=address,undefined -fno-omit-frame-pointer \
  -Wno-format-truncation' # their checks for NULL look like formats that are NULL
debug:
	@mkdir -p build-debug
	@ln -sfn ../scripts build-debug/scripts
	+$(DEBUG)

# The same, with the core for specs and the fuzz targets; these alone.
sanitized:
	@mkdir -p build-debug
	@ln -sfn ../scripts build-debug/scripts
	+$(Q)$(DEBUG) build-debug/tidemill build-debug/libtidemill-spec.so build-debug/simulate/simulate \
	  fuzz-targets
corpus:
	+$(Q)$(DEBUG) fuzz-targets

##  fuzz      every target of spec/fuzz for FUZZ_SECONDS (60) with libFuzzer
##            and sanitizers; TARGET=name picks one
FUZZ_SECONDS ?= 60
fuzz:
	@spec/support/deps.sh fuzz
	@$(MAKE) --no-print-directory -j2 BUILD=build-fuzz CC=clang CXX=clang++ \
	  OPT='-O1 -g' FUZZER= FUZZER_FLAG=-fsanitize=fuzzer \
	  SAN='-fsanitize=address,undefined,fuzzer-no-link -fno-omit-frame-pointer \
	  -fno-sanitize-recover=undefined' fuzz-targets
	@FUZZ_SECONDS=$(FUZZ_SECONDS) spec/fuzz/run build-fuzz $(or $(TARGET),$(FUZZ))

VERSION := $(shell sed -n 's/.define TIDEMILL_VERSION "\(.*\)"/\1/p' runtime/model/version.h)
SHARE = $(DESTDIR)$(PREFIX)/share
# What the binary says of itself, for man and for shells.
MADE := man/man1/tidemill.1 bash-completion/completions/tidemill \
  zsh/site-functions/_tidemill fish/vendor_completions.d/tidemill.fish

##  install   into $(DESTDIR)$(PREFIX): the binary, its scripts and rules
install: $(BIN)
	install -D -m 755 $(BIN) '$(DESTDIR)$(PREFIX)/bin/tidemill'
	set -e; for f in $$(find scripts rules -name '*.lua' ! -name '*_spec.lua'); do \
	  install -D -m 644 $$f '$(SHARE)'/tidemill/$$f; done
	set -e; for f in $(MADE); do install -D -m 644 /dev/null '$(SHARE)'/$$f; done
	set -e; mill=$$(realpath $(BIN)); cd '$(SHARE)'; set -- $(MADE); \
	  "$$mill" help --man > "$$1"; "$$mill" completion bash > "$$2"; \
	  "$$mill" completion zsh > "$$3"; "$$mill" completion fish > "$$4"

##  uninstall takes away what install put there
uninstall:
	rm -f '$(DESTDIR)$(PREFIX)/bin/tidemill'
	for f in $(MADE); do rm -f '$(SHARE)'/$$f; done
	rm -rf '$(SHARE)/tidemill'

##  deb       the Debian package, in build: binary, scripts, rules, examples,
##            man page, completion and a systemd unit
deb: $(BIN)
	@spec/support/deps.sh deb
	@runtime/package/deb.sh $(BIN) $(VERSION) $(BUILD)/deb

##  demo      installs what is missing, builds, runs examples/bank for
##            DEMO_SECONDS (30) against a broker and database of its own
demo:
	@spec/support/deps.sh demo
	@$(MAKE) --no-print-directory
	./$(BIN) dev examples/bank --seconds $(DEMO_SECONDS)

##  test      installs what is missing, builds, runs every spec against a real
##            Kafka and PostgreSQL; ends with "N passed, N failed"
test:
	@spec/support/deps.sh test
	@$(MAKE) --no-print-directory -j2 $(BIN) $(SPECLIB) $(SIMULATE) $(FAULT_TOOLS) \
	  sanitized
	@TIDEMILL=$(BIN) SPECLIB=$(SPECLIB) FAULT_TOOLS=$(BUILD) spec/run all

##  check     the specs that need no server and no network
check: $(BIN) $(SPECLIB) $(SIMULATE) corpus
	@TIDEMILL=$(BIN) SPECLIB=$(SPECLIB) spec/run check

##  e2e       only the specs of spec/e2e; ONLY=name picks one file
e2e: $(BIN) $(SPECLIB) $(FAULT_TOOLS)
	@TIDEMILL=$(BIN) SPECLIB=$(SPECLIB) FAULT_TOOLS=$(BUILD) spec/run e2e $(ONLY)

##  test-faults  a schedule of faults for about ten minutes, and what must hold
##            at its end; SEED=n replays one, FAULTS=process,kafka.pause picks
test-faults:
	@spec/support/deps.sh test
	@$(MAKE) --no-print-directory $(BIN) $(SPECLIB) $(FAULT_TOOLS)
	@TIDEMILL=$(BIN) SPECLIB=$(SPECLIB) FAULT_TOOLS=$(BUILD) spec/run faults

##  test-mutants  breaks the runtime in one place at a time, and demands that the
##            simulator fails; ONLY=word picks some
test-mutants:
	@luajit spec/simulate/mutants.lua $(CURDIR)/build-mutants $(ONLY)

##  test-debezium  the whole chain: PostgreSQL, the real Debezium connector, Kafka,
##            Tidemill; fetches the connector; ONLY=name picks one file
test-debezium:
	@spec/support/deps.sh test
	@$(MAKE) --no-print-directory -j2 $(BIN) debug
	@TIDEMILL=$(BIN) spec/run debezium $(ONLY)

##  test-platforms  builds a bare Debian 13 with debootstrap, and in it this tree:
##            packages, warnings, demo, the cheap specs, PostgreSQL 14 and 18; about ten
##            minutes; wants root. SUITE=sid: what follows
test-platforms:
	@spec/platforms/run

##  test-arm64  builds for Debian 13 on arm64 and tries it on that platform's kernels
##            with pages of 4 and 16 kB, in full emulation; PAGES=4k picks one,
##            ONLY="budget memory" core specs
test-arm64:
	@spec/arm64/run

##  test-package  installs the package on a bare Debian, starts its unit under
##            systemd and the container; as root, with mmdebstrap
test-package: deb
	@spec/package/run $(BUILD)/deb

##  docs      writes the tables of the README files that the code has
docs: $(SPECLIB)
	@SPECLIB=$(SPECLIB) luajit spec/lint/docs.lua write

##  lint      format, static analysis, layers, sizes, pages
lint: $(SPECLIB)
	@SPECLIB=$(SPECLIB) spec/lint/run

# For lint: how a C file is compiled.
flags:
	$(info $(CPPFLAGS) $(CFLAGS))@:

##  bench     speed against a bare writer, and where the time goes
bench: $(BIN) $(BUILD)/bare
	@TIDEMILL=$(BIN) BARE=$(BUILD)/bare spec/bench/run

$(BUILD)/bare: spec/bench/bare.c
	@mkdir -p $(@D)
	@echo '  cc    $<'
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -O2 $(WARN) $$($(PKG_CONFIG) --cflags libpq) \
	  -o $@ $< $$($(PKG_CONFIG) --libs libpq rdkafka)

##  format    clang-format over the C files
format:
	find runtime spec/bench spec/fuzz spec/faults spec/simulate -name "*.[ch]" -o -name "*.cc" | \
	  xargs clang-format -i

##  clean     removes everything that was built
clean:
	! mountpoint -q build-package/root || umount build-package/root
	rm -rf --one-file-system build build-debug build-fuzz build-mutants build-arm64 \
	  build-package build-lto tidemill

##  help      this list
help:
	@echo "make           ./tidemill"
	@sed -n "s/^##  \([a-z]\)/make \1/p; s/^##   /     /p" Makefile

.PHONY: debug docs install uninstall deb demo test check e2e test-platforms test-faults test-mutants test-debezium test-arm64 test-package lint bench format clean \
  help fuzz fuzz-targets corpus sanitized flags simulate
