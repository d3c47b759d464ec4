# What a developer and CI run. `make help` lists the targets.

TIME   ?= 1m
SEEDS  ?= 10000
ROUNDS ?= 200
BENCH  ?= .

PORTABLE := -tags wirebird_goroutine

.PHONY: help build run test test-deps check cross test-goroutine fuzz bench profile microbench bench-client sim crash conform

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/wirebird
	CGO_ENABLED=0 go build -trimpath -o bin/wirebird ./cmd/wirebird

run: build ## build and start a broker with its defaults
	bin/wirebird serve

# The race run comes last: the lines of go test itself close the output.
test: test-deps check cross test-goroutine ## everything CI checks
	go test -race -timeout 14m ./...

test-deps: ## install the clients the interop tests use
	scripts/test-deps.sh

check: ## gofmt and go vet, for both drivers
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "gofmt these files:"; echo "$$files"; exit 1; fi
	go vet ./...
	go vet $(PORTABLE) ./...
	cd test/peers && go vet ./...

cross: ## build for the other systems
	CGO_ENABLED=0 GOOS=darwin go build ./...
	CGO_ENABLED=0 GOOS=windows go build ./...

test-goroutine: ## test the broker on the portable driver
	go test $(PORTABLE) ./broker/... ./internal/shard/... ./internal/sim/... ./test/...

fuzz: ## run each fuzz target for TIME (1m)
	scripts/fuzz.sh $(TIME)

bench: build test-deps ## the whole table: Wirebird against Debian's mosquitto, as ratios, in under 10 minutes
	bin/wirebird bench suite $(ARGS)

profile: build ## where the broker's time goes, by perf; PROGRAMS="old new" side by side
	scripts/profile.sh $(PROGRAMS)

bench-client: ## the client against Eclipse's Go clients: rate, CPU and allocations of a message, in under 3 minutes
	cd test/peers && CGO_ENABLED=0 go build -o ../../bin/peers .
	bin/peers $(ARGS)

microbench: ## run the Go benchmarks that match BENCH (all)
	go test -run '^$$' -bench '$(BENCH)' -benchmem ./...

sim: ## play the schedules FROM (1) to SEEDS (10000) of the simulation; POWER=1: with power cuts
	go test -count=1 -timeout 0 -v ./internal/sim -run Schedule -seeds $(SEEDS) $(if $(FROM),-from $(FROM)) $(if $(POWER),-power) $(if $(SEED),-seed $(SEED)) $(if $(SCRIPT),-script $(abspath $(SCRIPT)))

crash: ## kill the broker ROUNDS times (200) and compare what was promised with what came
	go test -count=1 -timeout 0 -v ./test/crash -rounds $(ROUNDS)

conform: ## check broker, client and mosquitto against every statement and rewrite docs/conformance.md
	go test -count=1 ./test/conform -run 'TestMosquittoIsExplained' -update
	go test -count=1 ./test/conform -run 'TestBrokerKeepsEveryStatement' -update
	@grep -E '^(## MQTT|[0-9]+ statements|- (broker|client):)' docs/conformance.md
