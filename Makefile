# The one entry to everything: `make help`. CI calls nothing else.

ENVOY_VERSION := 1.40.0
OLDEST_VERSION := 1.36.4
FETCHED := .tools/envoy-$(ENVOY_VERSION)/envoy
# Absolute, because tests run in the folders of their packages.
ENVOY ?= $(CURDIR)/$(FETCHED)
export ENVOY
# The Python with grpcio.
GRPC_VENV := $(CURDIR)/.tools/grpc/venv
GRPC_PYTHON ?= $(GRPC_VENV)/bin/python
export GRPC_PYTHON
# Where cargo builds: CARGO_TARGET_DIR and build.target-dir may say elsewhere.
TARGET = $(shell cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
# What runs in a private network.
PRIVATE := tests/support/in-namespaces.sh

.PHONY: help demo test test-oldest test-docker bench bench-servers bench-node bench-flood bench-routes bench-hostile bench-inspect bench-grpc scale lint fmt fmt-check doc docs deny dist sbom deploy-check api-check ci envoy grpc-client accept build preflight preflight-network
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: preflight-network envoy ## watch a folder of manifests become traffic in four Envoys; KEEP=1 leaves it running
	@cargo build --quiet --package seaway --package seaway-testing --bins
	@KEEP=$(KEEP) $(PRIVATE) "$(TARGET)/debug/seaway-demo"

test: preflight-network envoy grpc-client ## all tests, real Envoys included, in a private network; ARGS="--test cluster_ip" for some
	@cargo test --workspace --no-run --quiet
	@CARGO_NET_OFFLINE=true $(PRIVATE) cargo test --workspace $(ARGS)

test-oldest: preflight-network ## the tests of ingress proxies, with the oldest Envoy that is supported
	@tests/support/fetch-envoy.sh $(OLDEST_VERSION) .tools/envoy-$(OLDEST_VERSION)/envoy
	@ENVOY=$(CURDIR)/.tools/envoy-$(OLDEST_VERSION)/envoy $(MAKE) --no-print-directory test ARGS="--test ingress"

test-docker: preflight envoy ## the images and deploy/docker on a Docker engine; DOCKERD=start starts one
	@tests/docker/run.sh $(ARGS)

bench: preflight ## the benchmarks, the memory of a server that holds a large world from files and from a cluster, and other servers beside ours
	@cargo bench --package seaway --bench '*'
	@$(MAKE) --no-print-directory bench-servers ARGS="--rounds 1 --seconds 3"

# A package outside the workspace, with its own target folder: nobody else builds what is compared with.
bench-servers: preflight ## our server beside others; W="w1 w4" for some workloads, ARGS="--rounds 5 --seconds 10"
	@cd benches/servers && cargo build --release --quiet && cargo run --release --quiet --bin runner -- $(W) $(ARGS)

# The routes that are added, and the seconds for which one is changed.
ROUTES ?= 3000
SOAK ?= 60
# The rounds of each load, and how long each takes.
ROUNDS ?= 3
SECONDS ?= 1
bench-node: preflight-network envoy ## what a node's Services cost beside no proxy (docs/beside-kube-proxy.md); ROUNDS=5, SECONDS=2, KUBE_PROXY=FILE
	@cargo build --release --quiet --package seaway --package seaway-testing --bins
	@KUBE_PROXY=$(KUBE_PROXY) $(PRIVATE) "$(TARGET)/release/seaway-bench-node" $(ROUNDS) $(SECONDS)

# New flows of UDP a second, connections in all, and for how long: what one pod floods a node with. FILES: its share as if Envoy had so many.
FLOWS ?= 15000
CONNECTIONS ?= 50000
bench-flood: SECONDS = 60
bench-flood: preflight-network envoy ## what a pod that floods a node costs the requests of another (docs/scale.md); FLOWS=15000 CONNECTIONS=50000 SECONDS=60 FILES=1048576
	@cargo build --release --quiet --package seaway --package seaway-testing --bins
	@$(PRIVATE) "$(TARGET)/release/seaway-bench-flood" $(FLOWS) $(CONNECTIONS) $(SECONDS) $(FILES)

bench-routes: preflight-network envoy ## how soon a route of Gateway API serves, and a soak; ROUTES=3000, SOAK=1800 (seconds)
	@cargo build --release --quiet --package seaway --package seaway-testing --bins
	@$(PRIVATE) "$(TARGET)/release/seaway-bench-routes" $(ROUTES) $(SOAK)

bench-hostile: preflight-network ## hostile clients beside a healthy one: its updates, Seaway's memory; ARGS="names idle", TIME=600 (seconds each), AFTER=60
	@cargo build --release --quiet --package seaway
	@TIME=$(TIME) AFTER=$(AFTER) $(PRIVATE) python3 benches/hostile/hostile.py "$(TARGET)/release/seaway" $(ARGS)

bench-inspect: preflight-network ## what looking at a server costs it and who looks: 10,000 Services, 1,000 proxies; SERVICES=, STREAMS=200
	@cargo build --release --quiet --package seaway
	@SERVICES=$(SERVICES) STREAMS=$(STREAMS) $(PRIVATE) python3 benches/inspect/inspect.py "$(TARGET)/release/seaway"

bench-grpc: preflight-network grpc-client ## a thousand proxyless gRPC clients with 3 of 10,000 Services each: what they are sent, Seaway's memory; CLIENTS=, SERVICES=
	@cargo build --release --quiet --package seaway
	@CLIENTS=$(CLIENTS) SERVICES=$(SERVICES) $(PRIVATE) "$(GRPC_PYTHON)" benches/grpc/clients.py "$(TARGET)/release/seaway"

# "mesh 5000 scopes" and "mesh 5000 table": a Service more of role mesh. Else capture, Services, ports and endpoints of each, worker threads; and a limit of open files
SCALE ?= "namespace 5000 1 10 2" "redirect 5000 4 1 2"
scale: preflight-network envoy ## what thousands of listeners cost an Envoy (docs/scale.md); SCALE='"bind 5000 1 10 4"' for another case
	@cargo build --release --quiet --package seaway --package seaway-testing --bins
	@for case in $(SCALE); do $(PRIVATE) "$(TARGET)/release/seaway-scale" $$case; done

lint: preflight ## clippy, warnings denied
	@cargo clippy --workspace --all-targets -- --deny warnings
	@cargo clippy --quiet --package seaway-testing --no-default-features --features stack -- --deny warnings

fmt: preflight ## format everything
	@cargo fmt --all

fmt-check: preflight
	@cargo fmt --all --check

doc: preflight ## the API documentation, warnings denied
	@RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --document-private-items

docs: preflight ## the README and docs/: dead links, long lines, flags that there are not; the book where there is mdbook
	@cargo build --quiet --package seaway
	@python3 tests/docs/planted.py "$(TARGET)/debug/seaway"
	@python3 tests/docs/check.py "$(TARGET)/debug/seaway"
	@python3 tests/docs/book.py "$(TARGET)/book"

deny: preflight ## licences, bans and sources of all dependencies (deny.toml); needs cargo-deny
	@command -v cargo-deny >/dev/null || { echo "cargo-deny is not installed: cargo install --locked cargo-deny" >&2; exit 1; }
	@cargo deny check licenses bans sources

deploy-check: preflight-network envoy ## the manifests of deploy/ against Kubernetes' schemas and the project's rules; all scripts by shellcheck
	@cargo build --quiet --package seaway
	@SEAWAY="$(TARGET)/debug/seaway" tests/deploy/check.sh

api-check: preflight-network ## the inspection API of a running Seaway against docs/openapi.json, by made-up requests
	@cargo build --quiet --package seaway
	@tests/support/install-venv.sh tests/api/requirements.txt $(or $(TOOLS),.tools)/api-check/venv schemathesis
	@SEAWAY="$(TARGET)/debug/seaway" $(PRIVATE) tests/api/check.sh

# Symbols and the folders of this machine are left out, so that the same commit is the same bytes (docs/release.md).
CARGO_HOME ?= $(HOME)/.cargo
dist: preflight ## target/dist/release/seaway, a release binary that is the same wherever it is built, and its digest
	@CARGO_PROFILE_RELEASE_STRIP=symbols RUSTFLAGS="--remap-path-prefix=$(CURDIR)=/seaway --remap-path-prefix=$(CARGO_HOME)=/cargo" \
		cargo build --quiet --locked --release --package seaway --target-dir target/dist
	@sha256sum target/dist/release/seaway

sbom: preflight ## target/seaway.cdx.json, what the binary is made of (CycloneDX); needs cargo-cyclonedx
	@command -v cargo-cyclonedx >/dev/null || { echo "cargo-cyclonedx is not installed: cargo install --locked cargo-cyclonedx" >&2; exit 1; }
	@cargo cyclonedx --quiet --format json --spec-version 1.5 --describe binaries --target all
	@mkdir -p target && mv seaway_bin.cdx.json target/seaway.cdx.json && rm tests/support/*_bin.cdx.json && echo target/seaway.cdx.json

ci: fmt-check lint test test-oldest doc docs deploy-check api-check ## what CI runs

accept: preflight ## take what the golden tests produce now as right; review the diff
	@INSTA_UPDATE=always cargo test --package seaway-translator
	@INSTA_UPDATE=always cargo test --package seaway --bin seaway openapi
	@INSTA_UPDATE=always cargo test --package seaway --test cli explain
	@ACCEPT=1 cargo test --test diff cases

grpc-client: preflight ## fetch grpcio from PyPI into .tools/, unless GRPC_PYTHON names another Python that has it
	@[ "$(GRPC_PYTHON)" != "$(GRPC_VENV)/bin/python" ] || tests/support/install-venv.sh tests/grpc/requirements.txt "$(GRPC_VENV)" grpcio

envoy: preflight ## fetch Envoy into .tools/, unless it is there or ENVOY names another
	@if [ "$(ENVOY)" = "$(CURDIR)/$(FETCHED)" ]; then tests/support/fetch-envoy.sh $(ENVOY_VERSION) $(FETCHED); fi

preflight:
	@tests/support/preflight.sh

preflight-network:
	@tests/support/preflight.sh network
