# The checks of this project. `make test` needs Go alone; `make check` is
# everything that must be true, and starts a real Kafka (scripts/kafka).
GO ?= go

.PHONY: build test vet check fmt clean

build:
	$(GO) build -o bin/eventserver ./cmd/eventserver

test:
	$(GO) test -race -shuffle=on ./...

vet:
	$(GO) vet ./...

fmt:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on these"; exit 1; }

check: fmt build vet test

clean:
	rm -rf bin
