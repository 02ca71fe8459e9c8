# The menu. Every target makes what it needs and is quick the second time.
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
export PYTEST_DISABLE_PLUGIN_AUTOLOAD := 1
PYTEST := $(PY) -m pytest -p pytest_timeout -p _hypothesis_pytestplugin

.PHONY: demo test test-fast check fix golden docs bench lint types contracts clean

demo: $(STAMP)  ## the quickstart, from data to a served model
	$(VENV)/bin/llmops -C examples/quickstart apply --env local

test: $(STAMP) .tools/bin/actionlint  ## every test
	PATH="$(CURDIR)/.tools/bin:$$PATH" $(PYTEST) tests

test-fast: $(STAMP)  ## what needs no torch
	$(PYTEST) tests -m "not slow and not e2e"

check: lint types contracts  ## what CI holds a change to, beside the tests

lint: $(STAMP)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .

types: $(STAMP)
	$(VENV)/bin/basedpyright

contracts: $(STAMP)
	$(VENV)/bin/lint-imports

fix: $(STAMP)
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

golden: $(STAMP)  ## write the golden trees anew; read the difference before it is committed
	LLMOPS_GOLDEN=write $(PYTEST) tests/unit/backends/test_golden.py -q

docs: $(STAMP)  ## docs/reference, from the code
	PYTHONPATH=. $(PY) docs/generate.py

bench: $(STAMP)
	$(PY) -m benchmarks

# The system's certificates, as pip uses them: a company's own authority is among those.
export UV_SYSTEM_CERTS := 1
export UV_NATIVE_TLS := 1

# uv resolves and installs the pinned set in a tenth of pip's time; it comes from the same registry.
$(STAMP): pyproject.toml llmops/constraints.txt
	test -x $(PY) || python3 -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	$(VENV)/bin/uv pip install --quiet --python $(PY) --constraint llmops/constraints.txt --editable ".[all,dev]"
	touch $(STAMP)

# A linter for workflows. Without Go the tests that need it are skipped by name.
.tools/bin/actionlint:
	mkdir -p .tools/bin
	if command -v go >/dev/null; then GOBIN="$(CURDIR)/.tools/bin" go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12; \
	else echo "no Go here: the workflow is not linted by actionlint"; fi

clean:
	rm -rf $(VENV) .tools build dist
