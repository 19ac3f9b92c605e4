# Every target makes its own environment first: Python 3.11 to 3.13 and make are enough to start
# (Java 17 and Maven are used where they are found; PyPI packages stand in where they are not).
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help demo test compiled lint format unit integration faults soak restart fuzz bench peers audit-deps image manifests observe services store hosts page docs clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

$(READY): pyproject.toml uv.lock .ci/bootstrap
	@PYTHON='$(PYTHON)' ./.ci/bootstrap
	@touch $@

demo: $(READY) ## a local Kafka, two workers, two real logs, a live table
	@$(BIN)/twin demo

test: $(READY) ## everything that must pass: lint, types, layers, all tests but the slow ones
	@$(MAKE) --no-print-directory --jobs 2 lint compiled
	@$(MAKE) --no-print-directory unit integration

compiled: $(READY) # the kernels: once, not in each of the processes that run tests
	@$(BIN)/python -m tests.compiled

lint: $(READY) ## ruff, mypy and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: $(READY) ## sort imports and format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

unit: $(READY) ## the tests that need no broker, on all cores
	@$(BIN)/pytest -m "not slow and not kafka" --numprocesses auto

integration: $(READY) ## the tests on a real local Kafka: two at a time, each half with a broker of its own
	@$(BIN)/pytest -m "kafka and not slow" --numprocesses 2 --dist worksteal

faults: $(READY) ## 200 seeded fault plans on real workers and a real Kafka: SEED= first, COUNT= how many
	@$(BIN)/pytest tests/integration/test_fault_plans_kafka.py tests/integration/test_doubtful_starts_kafka.py \
		tests/integration/test_zombie_kafka.py
	@$(BIN)/python -m tests.faults.main --first $(or $(SEED),0) --count $(or $(COUNT),200)

soak: $(READY) ## a steady load with a worker restarted every minute: MINUTES=30 RATE=50000; CYCLES=1: 1,000 orders an hour
	@$(BIN)/python -m tests.faults.soak --minutes $(or $(MINUTES),30) --rate $(or $(RATE),50000) $(if $(CYCLES),--cycles)

restart: $(READY) ## kill -9 of the only worker under RATE=100000: how long to the first new result; over 5 s of ours fails
	@$(BIN)/python -m tests.faults.restart --rate $(or $(RATE),100000)

# Tests are the same in every run; chance is at home here. Without SEED another one each time: it is printed.
fuzz: SEED := $(or $(SEED),$(shell od -An -N4 -tu4 /dev/urandom | tr -d ' '))
fuzz: $(READY) ## hostile input for ten minutes, every property with 20 times as many examples, the unit tests with bounds checks (SECONDS, SEED, EXAMPLES)
	@echo "make fuzz SEED=$(SEED)"
	@$(BIN)/python -m tests.fuzz.main --seconds $(or $(SECONDS),600) --seed $(SEED)
	@TAKTWIN_TEST_EXAMPLES=$(or $(EXAMPLES),20) $(BIN)/pytest tests/property tests/fuzz -m "not slow and not kafka" \
		--numprocesses auto --hypothesis-seed=$(SEED)
	@NUMBA_BOUNDSCHECK=1 $(BIN)/pytest -m "not slow and not kafka" --numprocesses auto

bench: $(READY) ## the benchmarks, long form: figures, not a pass or fail; ARGS="NAME ... --repeats N"
	@$(BIN)/twin bench --long --json .cache/bench.json $(ARGS)

PEERS_READY := .cache/bench-venv/.ready

# An environment of its own: what the product is measured beside is none of its dependencies.
$(PEERS_READY): pyproject.toml uv.lock | $(READY)
	@UV_PROJECT_ENVIRONMENT=.cache/bench-venv UV_PYTHON=$(BIN)/python UV_PYTHON_DOWNLOADS=never \
		$$(uv --version >/dev/null 2>&1 && echo uv || echo .cache/uv/bin/uv) sync --quiet --locked --only-group bench
	@touch $@

peers: $(READY) $(PEERS_READY) ## what else could do this work, measured beside it: ARGS="NAME ... --events N --json FILE"
	@$(BIN)/python -m tests.bench.peers.main $(ARGS)

audit-deps: $(READY) ## known vulnerabilities of the locked dependencies; needs the network
	@./.ci/audit-deps $(ARGS)

image: $(READY) ## the image and docker-compose.yml with a real engine: build, size, the demo's logs, faults, backup and restore
	@$(BIN)/python -m tests.deploy.image $(ARGS)

store: $(READY) ## the audit in object storage: deaths at every call, PLANS=100 seeded plans (SEED=), workers on a real S3 server that dies, throttles and is slow
	@$(BIN)/python -m tests.faults.objects
	@$(BIN)/python -m tests.faults.objects --waits
	@$(BIN)/python -m tests.faults.objects --waits --plans $(or $(PLANS),100) --seed $(or $(SEED),0)
	@$(BIN)/pytest -m slow tests/unit/twin/audit/test_object_changes.py
	@$(BIN)/pytest tests/integration/test_object_storage_kafka.py
	@$(BIN)/python -m tests.faults.stored --count $(or $(STORED),15) --first $(or $(SEED),0)

hosts: $(READY) ## two workers on two hosts (network namespaces: root and ip) with one Kafka and one S3 server, cut off from each in turn
	@$(BIN)/python -m tests.faults.hosts

manifests: $(READY) ## deploy/kubernetes against a real Kubernetes API server (the first time it is built: Go, minutes)
	@$(BIN)/python -m tests.deploy.manifests

OBSERVE_READY := .cache/observe-venv/.ready

$(OBSERVE_READY): pyproject.toml uv.lock | $(READY)
	@UV_PROJECT_ENVIRONMENT=.cache/observe-venv UV_PYTHON=$(BIN)/python UV_PYTHON_DOWNLOADS=never \
		$$(uv --version >/dev/null 2>&1 && echo uv || echo .cache/uv/bin/uv) sync --quiet --locked --only-group observe
	@touch $@

observe: compiled $(OBSERVE_READY) ## alert rules and dashboards against a real Prometheus and live workers: SECONDS=300 RATE=2000
	@$(BIN)/python -m tests.deploy.observe --seconds $(or $(SECONDS),300) --rate $(or $(RATE),2000)

services: compiled ## the consumers and producers of examples/ in four languages against live workers: ARGS="go java"
	@$(BIN)/python -m tests.deploy.services $(ARGS)

PAGE_READY := .cache/page-venv/.ready

$(PAGE_READY): pyproject.toml uv.lock | $(READY)
	@UV_PROJECT_ENVIRONMENT=.cache/page-venv UV_PYTHON=$(BIN)/python UV_PYTHON_DOWNLOADS=never \
		$$(uv --version >/dev/null 2>&1 && echo uv || echo .cache/uv/bin/uv) sync --quiet --locked --all-extras --group page
	@touch $@

OLD_CHROMIUM := .cache/chromium-103/chromium

$(OLD_CHROMIUM):
	@tests/browser/old-chromium.sh $(dir $@)

# OLD=1 needs npm. What Playwright adds to wait and to click needs Chromium 105, so an old one has tests of its own.
page: compiled $(PAGE_READY) $(if $(OLD),$(OLD_CHROMIUM)) ## the page in a real Chromium (CHROMIUM=PATH, OLD=1: one of 2022) against live workers; PICTURES=FOLDER makes pictures, WALL_MINUTES=60 watches the wall
	@$(if $(OLD),CHROMIUM=$(OLD_CHROMIUM)) .cache/page-venv/bin/pytest tests/browser$(if $(OLD),/test_old_browser.py) $(ARGS)

docs: $(READY) ## the generated pages: command line, settings, figures (FIGURES="FILE ..." takes in new ones)
	@$(BIN)/python -m streams.cli.reference docs
	@if [ -n "$(FIGURES)" ] || [ -e docs/performance.json ]; then $(BIN)/python -m streams.bench.report $(FIGURES); fi

clean: ## caches and the environment; the audit folders stay
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
