# SPDX-License-Identifier: GPL-2.0-or-later
# Programs for the admin's PC, and the config manual that one of them prints.

BHCHECK     := $(BUILD)/bhcheck
TOOL_SRC    := tools/bhcheck.c tools/manual.c $(sort $(wildcard hv/lib/*.c hv/plan/*.c))
TOOL_OBJ    := $(TOOL_SRC:%.c=$(BUILD)/tool/%.o)
TOOL_FLAGS  := $(COMMON) -D_GNU_SOURCE

$(BUILD)/tool/%.o: %.c
	@mkdir -p $(@D)
	$(HOST_CC) $(TOOL_FLAGS) -MMD -MP -c $< -o $@

$(BHCHECK): $(TOOL_OBJ)
	$(HOST_CC) $(TOOL_FLAGS) -o $@ $(TOOL_OBJ)

.PHONY: bhcheck docs docs-check
bhcheck: $(BHCHECK)

# docs/config.md is printed, never written by hand.
docs: $(BHCHECK)
	$(BHCHECK) --manual > docs/config.md

docs-check: $(BHCHECK)
	@$(BHCHECK) --manual | diff -u docs/config.md - || \
	    { echo "docs/config.md differs from the schema: run 'make docs'"; exit 1; }

.PHONY: toml-check
toml-check: $(BHCHECK)
	@$(PYTHON) tests/unit/compare_toml.py $(BHCHECK)
