# Everything a person needs to build, try and check Weir. `make help` lists it.

GO      ?= go
BIN     := bin/weir
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X github.com/weir-gpu/weir/cli.Version=$(VERSION)
# Packages that neither embed Kubernetes nor start a cluster: quick to build
# with the race detector. Simulators have one goroutine and run for long: they
# are tested without it. So is the engine on its ten thousands of histories; of
# those a few go with it, side by side, since engines are to share nothing.
RACE    := ./sched ./sched/learn ./sched/past ./sched/scenario/... ./api/... ./sim/openb ./sim/trace ./kube/ask ./kube/workload/... ./cli/quantity ./cli/text ./node/...

.PHONY: help
help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/weir
	$(GO) build -trimpath -ldflags "$(LDFLAGS)" -o $(BIN) ./cmd/weir

.PHONY: shim
shim: ## Build the shim (bin/shim) and the simulated GPU driver (bin/sim); needs a C compiler
	$(GO) run ./shim/build/put bin

.PHONY: node
node: build shim ## Build what weir up --real-node needs beside weir: kubelet, containerd (bin/node), the shim
	$(GO) run ./cluster/realnode/build/put bin/node

# IMAGE is what `make image` calls the image; DOCKER can be podman.
IMAGE   ?= weir:$(VERSION)
DOCKER  ?= docker
# AGENT is what `make agent-image` calls that one.
AGENT   ?= weir-agent:$(VERSION)

.PHONY: image
image: ## Build a container image (not exercised by the project's own checks)
	CGO_ENABLED=0 GOOS=linux $(GO) build -trimpath -ldflags "$(LDFLAGS)" -o bin/image/weir ./cmd/weir
	$(DOCKER) build -f Dockerfile -t $(IMAGE) bin/image

.PHONY: agent-image
agent-image: shim ## Build a container image of the node agent (not exercised by the project's own checks)
	mkdir -p bin/agent && rm -rf bin/agent/shim && cp -r bin/shim bin/agent/
	CGO_ENABLED=0 GOOS=linux $(GO) build -trimpath -ldflags "$(LDFLAGS)" -o bin/agent/weir ./cmd/weir
	$(DOCKER) build -f Dockerfile.agent -t $(AGENT) bin/agent

.PHONY: demo
demo: build ## Build, start a cluster here and replay the openb trace on it
	$(BIN) up --replay openb --fresh

.PHONY: test
test: lint ## Check and test everything (what CI runs)
	$(GO) test -race -timeout 20m $(RACE)
	$(GO) test -race -short -run 'Laws$$|Contests|Crowds' ./sched/laws
	$(GO) test -p 1 -timeout 20m $$($(GO) list ./... | grep -v -x -F "$$($(GO) list $(RACE))")

.PHONY: lint
lint: ## Check formatting and vet
	@bad=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$bad" || { echo "not gofmt'ed: $$bad"; exit 1; }
	$(GO) vet ./...

.PHONY: generate
generate: ## Regenerate deepcopy functions and CRDs
	$(GO) generate ./api/...

.PHONY: bench
bench: bench-engine bench-bind ## Run all benchmarks

.PHONY: bench-engine
bench-engine: ## Time the decision engine alone
	$(GO) run ./test/bench/engine

.PHONY: bench-bind
bench-bind: ## Bind pods on an embedded cluster: a plain client, kube-scheduler, Weir
	$(GO) build -o bin/bind ./test/bench/bind
	bin/bind -mode whole
	bin/bind -mode half
	bin/bind -mode reclaim

.PHONY: gpu-bundle
gpu-bundle: ## Build what test/gpu/check takes to a machine with a GPU (bin/gpu)
	rm -rf bin/gpu
	CGO_ENABLED=0 $(GO) run ./test/gpu/bundle bin/gpu
	xz -2 -T0 bin/gpu/weir

.PHONY: bench-shim
bench-shim: ## Measure what the shim costs and holds programs to, on a machine that is left alone
	WEIR_MEASURE=yes $(GO) test ./shim/test -count 1 -v -run 'Share|Burst|Alone|Dies|Killed|Cost|TwoProcesses'

.PHONY: bench-swap
bench-swap: ## Measure how fast 1 GiB is swapped out and in, beside this machine's copies
	WEIR_MEASURE=yes $(GO) test ./test/machine -count 1 -v -run SwapSpeed

.PHONY: bench-thin
bench-thin: ## Twelve programs of a quarter on one device, three at work at a time; owners that want back what they lent
	WEIR_MEASURE=yes $(GO) test ./test/machine -count 1 -v -run 'Thin|OwnerWakesUp|OwnerTakesTheRest'

.PHONY: kill-swap
kill-swap: ## Kill a job, the agent, or both 540 times, at each step of a swap, and 180 times while memory is lent (13 min)
	$(GO) test ./test/machine -count 1 -timeout 60m -v -run 'KilledWhileSwapping|KilledWhileLent' -args -runs 540

.PHONY: kill-node
kill-node: ## Kill kubelet and agent 30 times under eight containers at work, while pods go and come
	WEIR_ROUNDS=30 $(GO) test ./test/realnode -count 1 -timeout 30m -v

.PHONY: bench-node
bench-node: build shim ## Share a simulated GPU between programs, and say what each had
	$(GO) run ./test/bench/node -weir $(BIN)

.PHONY: scoreboard
scoreboard: ## Run what docs/scoreboard.md shows and is out of date, and write it
	$(GO) run ./test/scoreboard

.PHONY: fidelity
fidelity: ## Play a slice of Philly live, on simulated nodes, and compare with the simulator (4 min)
	$(GO) build -o bin/fidelity ./test/bench/fidelity
	bin/fidelity

.PHONY: kill
kill: ## Kill the scheduler 20 times, and the API server, while 2,000 pods are placed
	$(GO) test ./test/kill -count 1 -timeout 30m -v -args -pods 2000 -kills 20

# Each target, as its package and its name. FUZZTIME is for each of them.
FUZZTIME ?= 60s
FUZZ := sched/scenario:FuzzParse api/v1alpha1:FuzzGPU sim/openb:FuzzRead cli/quantity:FuzzParse \
	kube/ask:FuzzShareWords kube/workload:FuzzParse kube/plan:FuzzRead kube/admit:FuzzHandler node/witness:FuzzRead

.PHONY: fuzz
fuzz: ## Fuzz every parser for FUZZTIME each (default 60s)
	@set -e; for t in $(FUZZ); do echo "$$t"; \
		$(GO) test ./$${t%%:*} -run '^$$' -fuzz "^$${t##*:}$$" -fuzztime $(FUZZTIME); done

.PHONY: laws
laws: ## Play histories that were not played before against the laws of the engine
	$(GO) test ./sched/laws -count 1 -timeout 20m -args -anew

.PHONY: properties
properties: ## Play values that were not played before against every other property
	WEIR_SEED=new $(GO) test -count 1 -timeout 20m \
		$$(git grep -l 'weir/test/seed"' -- '*_test.go' | xargs -n1 dirname | sort -u | sed 's|^|./|')

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin
