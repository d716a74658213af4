# The checks of this project. `make test` is what a newcomer waits for: it needs Go
# alone and takes some minutes. `make check` is everything that must be true: also
# what kills, floods or needs a server. It starts a real Kafka (scripts/kafka).
GO ?= go
# Linters have a module of their own: their dependencies are not ours.
LINT = $(GO) tool -modfile=tools/go.mod golangci-lint

.PHONY: build test test-all vet fmt lint generate generated test-kafka public-schemas chaos chaos-short real-kafka damage bench watch picture check clean rename renamed

# Without cgo, as the image: C memory is not in Go's limit (docs/reliability.md).
build:
	CGO_ENABLED=0 $(GO) build -tags grpcnotrace -o bin/eventserver ./cmd/eventserver

# A test that kills, floods, starts the built program or takes long is skipped with
# -short (testing.Short), and runs in test-all, which is a part of check.
test:
	$(GO) test -race -shuffle=on -short ./...

test-all:
	$(GO) test -race -shuffle=on ./...

vet:
	$(GO) vet ./...
	$(GO) -C deploy/render vet ./...

fmt:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on these"; exit 1; }

lint:
	$(LINT) run --allow-parallel-runners ./...

# docs/config.md and docs/openapi.json come from the code, docs/flow.svg from docs/flow.txt,
# packages events from the schemas.
GENERATE = $(GO) run ./cmd/eventserver schema generate
generate:
	$(GENERATE) --dir schemas
	$(GENERATE) --dir examples/typed/schemas --out examples/typed/events
	$(GO) test ./app -run TestReferenceIsUpToDate -args -update
	$(GO) test ./app/admin -run TestDocumentIsUpToDate -args -update
	$(GO) test ./docs -run TestFlowIsUpToDate -args -update

generated:
	$(GO) test -count=1 ./app -run TestReferenceIsUpToDate
	$(GO) test -count=1 ./app/admin -run TestDocumentIsUpToDate
	$(GO) test -count=1 ./docs -run TestFlowIsUpToDate
	$(GO) mod tidy -diff
	$(GO) -C deploy/render mod tidy -diff
	$(GENERATE) --dir schemas --check
	$(GENERATE) --dir examples/typed/schemas --out examples/typed/events --check
	scripts/schemas

KAFKA_TESTS = -run '[Kk]afka|EndToEnd|Killed' ./infra/... ./app ./cmd/...
CHAOS_TESTS = -v -run 'Chaos|RestartsUnderLoad|ManyQueued' ./cmd/eventserver/e2e/chaos

# The suites that need a broker, on a real Apache Kafka of this machine.
test-kafka:
	@addrs=$$(scripts/kafka start 1) && trap 'scripts/kafka stop' EXIT && \
	EVENTSERVER_TEST_KAFKA=$$addrs $(GO) test -count=1 $(KAFKA_TESTS)

# The Go types of the schemas of public packages, with their examples (docs/schemas.md):
# some two minutes, and npm and pip once.
public-schemas:
	@dir=$$(scripts/public-schemas) && EVENTSERVER_TEST_SCHEMAS=$$dir $(GO) test -count=1 -v -run PublicSchemas ./app/schema/gogen

# The chaos suite in its short form (some three minutes, and one to two for each run with thirty destinations or large events), on the embedded broker,
# kfake and one real Kafka broker.
chaos-short:
	@addrs=$$(scripts/kafka start 1) && trap 'scripts/kafka stop' EXIT && \
	EVENTSERVER_CHAOS=short EVENTSERVER_TEST_KAFKA=$$addrs $(GO) test -count=1 -timeout 25m $(CHAOS_TESTS)

# Both, on one cluster: a Kafka that has just started is busy compiling itself.
real-kafka:
	@addrs=$$(scripts/kafka start 1) && trap 'scripts/kafka stop' EXIT && export EVENTSERVER_TEST_KAFKA=$$addrs && \
	$(GO) test -count=1 $(KAFKA_TESTS) && EVENTSERVER_CHAOS=short $(GO) test -count=1 -timeout 25m $(CHAOS_TESTS)

# The chaos suite in its long form (docs/reliability.md): 50,000 events for each
# broker, among them a real Kafka of three brokers on KAFKA_PORT and what follows,
# below the ports that connections are given.
chaos:
	EVENTSERVER_CHAOS=long KAFKA_PORT=$${KAFKA_PORT:-29092} $(GO) test -count=1 -timeout 90m $(CHAOS_TESTS)

# The program by hand on the embedded broker; key order against the stock subscriber
# and the program by hand, on a real Kafka (docs/performance.md): 39 runs of 13 s.
# Kafka's first is thrown away: a Kafka that has just started is busy compiling itself.
bench: build
	bin/eventserver bench --by-hand --pairs 5
	@addrs=$$(scripts/kafka start 1) && trap 'scripts/kafka stop' EXIT && \
	bin/eventserver bench --broker kafka --brokers $$addrs --duration 10s >/dev/null && \
	bin/eventserver bench --broker kafka --brokers $$addrs --ordering key,partition --by-hand --latency 0s,20ms,200ms --pairs 3 --json bench.json && \
	bin/eventserver bench --broker kafka --brokers $$addrs --rate 800

# Rules, alerts and dashboards, on Debian's Prometheus.
watch:
	@dir=$$(scripts/prometheus) && EVENTSERVER_TEST_PROMETHEUS=$$dir $(GO) test -count=1 -timeout 20m -run 'Promtool|TestAlerts$$|GameDay' ./deploy ./cmd/eventserver/e2e/gameday
	$(GO) -C deploy/render test ./...

# docs/overview.png, of the run of the test above (deploy/render).
picture:
	@dir=$$(scripts/prometheus) && EVENTSERVER_TEST_PROMETHEUS=$$dir EVENTSERVER_PICTURE=$(CURDIR)/docs/overview.png $(GO) test -count=1 -v -run 'TestAlerts$$' ./cmd/eventserver/e2e/gameday

# Hundreds of damaged directories of the embedded broker: some two minutes.
damage:
	EVENTSERVER_DAMAGE=long $(GO) test -count=1 -timeout 30m -run RandomDamage ./infra/local

# Gives the module another path in every file that names it: make rename MODULE=github.com/acme/eventserver.
rename:
	scripts/rename $(MODULE)

# The same on a copy, with a program of another module that imports it, and back again: half a minute.
renamed:
	scripts/rename-check

check: fmt build vet lint generated renamed real-kafka watch damage test-all

clean:
	rm -rf bin
