PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: demo test slow native-test wheel results course notebooks docs clean

demo: $(VENV)/installed
	$(BIN)/ostinato demo

test: $(VENV)/installed-test
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/mypy --no-error-summary
	$(BIN)/python -m pytest

slow: $(VENV)/installed-test
	$(BIN)/python -m pytest -m slow

wheel: $(VENV)/installed
	.ci/wheel

native-test:
	native/tests/run.sh

results: $(VENV)/installed
	$(BIN)/python tools/results.py

course: $(VENV)/installed
	$(BIN)/python tools/course.py

notebooks: $(VENV)/installed-docs
	$(BIN)/python tools/course.py --notebooks build/notebooks

docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) build *.egg-info

# torch first and pinned: with it in place, no other package's range can draw a larger build.
define install
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Ostinato needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
@echo "Installing into $(VENV) (once, a minute or two) ..."
$(PIP) torch
$(PIP) --editable '.$(1)'
endef

NEEDED := pyproject.toml constraints.txt setup.py $(wildcard native/*)

$(VENV)/installed: $(NEEDED)
	$(call install,)
	touch $@

# Everything that the other one installs too: built once, whichever comes first.
$(VENV)/installed-test: $(NEEDED)
	$(call install,[test])
	touch $(VENV)/installed $@

$(VENV)/installed-docs: $(NEEDED)
	$(call install,[docs])
	touch $(VENV)/installed $@
