# Builds ./tidemill and its tests. `make help` lists the targets.
PKGS    := luajit rdkafka libpq simdjson libmicrohttpd
PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= cc
CXX     ?= c++
BUILD   ?= build

OPT     ?= -O2 -g -D_FORTIFY_SOURCE=2
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
HARDEN  := -fstack-protector-strong -fPIE -Wformat -Werror=format-security
CPPFLAGS += -Iruntime -I$(BUILD) -D_GNU_SOURCE -DTIDEMILL_PREFIX='"$(PREFIX)"' \
            $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
CFLAGS  += -std=c11 $(OPT) $(WARN) $(HARDEN) $(SAN)
CXXFLAGS += -std=c++17 $(OPT) -Wall -Wextra $(HARDEN) $(SAN)
# -E: LuaJIT's ffi.C finds the tm_* functions in the executable itself.
LDFLAGS += -pie -Wl,-z,relro,-z,now -Wl,-E $(SAN)
LIBS    := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lev -lm

SRC  := $(wildcard runtime/*.c runtime/*/*.c)
SRCX := $(wildcard runtime/*/*.cc)
OBJ  := $(SRC:%.c=$(BUILD)/%.o) $(SRCX:%.cc=$(BUILD)/%.o)

tidemill: $(OBJ)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.cc
	@mkdir -p $(@D)
	$(CXX) $(CPPFLAGS) $(CXXFLAGS) -MMD -MP -c -o $@ $<

-include $(OBJ:.o=.d)

clean:
	rm -rf build tidemill
.PHONY: clean
