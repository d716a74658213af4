# The checks of this project. `make test` needs Go alone; `make check` is
# everything that must be true, and starts a real Kafka (scripts/kafka).
GO ?= go
# Linters have a module of their own: their dependencies are not ours.
LINT = $(GO) tool -modfile=tools/go.mod golangci-lint

.PHONY: build test vet fmt lint generate generated test-kafka check clean

build:
	$(GO) build -o bin/eventserver ./cmd/eventserver

test:
	$(GO) test -race -shuffle=on ./...

vet:
	$(GO) vet ./...

fmt:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on these"; exit 1; }

lint:
	$(LINT) run ./...

# docs/config.md comes from the code.
generate:
	$(GO) test ./app -run TestReferenceIsUpToDate -args -update

generated:
	$(GO) test -count=1 ./app -run TestReferenceIsUpToDate
	$(GO) mod tidy -diff

# The suites that need a broker, on a real Apache Kafka of this machine.
test-kafka:
	@addrs=$$(scripts/kafka start 1) && trap 'scripts/kafka stop' EXIT && \
	EVENTSERVER_TEST_KAFKA=$$addrs $(GO) test -count=1 -run '[Kk]afka|EndToEnd|Killed' ./infra/... ./app ./cmd/...

check: fmt build vet lint generated test-kafka test

clean:
	rm -rf bin
