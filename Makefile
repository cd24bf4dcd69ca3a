# `make help` lists the targets. Everything is installed in .venv and nowhere else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/demo
TRIALS := 30
WORKERS := 2
MODELS := bahdanau luong seq2seq

.DEFAULT_GOAL := help
.PHONY: help setup demo train compare test test-slow test-faults check-gpu benchmark lint format splits tensorboard tour clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/installed  ## create .venv with the tested package versions

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,serve,export]'
	@touch $@

demo: $(DEMO)/test/metrics.json  ## train on the bundled corpus, then translate and draw a sentence
	@echo
	@echo 'Rahul is a good boy.'
	@$(BIN)/python -m nmt.translate --run $(DEMO) --attention $(DEMO)/rahul.png 'Rahul is a good boy.'
	@echo
	@echo "alignment:         $(DEMO)/rahul.png (more in $(DEMO)/test/heatmaps)"
	@echo "scores:            $(DEMO)/test/metrics.json"
	@echo "report:            $(DEMO)/report.html"
	@echo "run folder:        $(DEMO)"
	@echo "training curves:   make tensorboard"
	@echo "translate more:    $(BIN)/python -m nmt.translate --run $(DEMO) 'Sita likes this house.'"

$(DEMO)/test/metrics.json: | setup
	@rm -rf $(DEMO)
	$(BIN)/python -m nmt.train experiment=demo name=demo training.validate_every=600

train: setup  ## train on the English–Marathi pairs of manythings.org; ARGS='model=luong …'
	$(BIN)/python -m nmt.train $(ARGS)

compare: setup  ## train MODELS='bahdanau luong …' and compare them in runs/comparison; ARGS='experiment=demo …'
	$(BIN)/python scripts/compare.py --models $(MODELS) --output runs/comparison $(ARGS)

splits: setup  ## write the splits as plain text to data/splits; ARGS='data=sample …'
	$(BIN)/python scripts/export_splits.py data/splits $(ARGS)

test: setup  ## run the tests in WORKERS=2 processes (minutes)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

test-slow: setup  ## run the slow tests
	$(BIN)/python -m pytest -m slow

test-faults: setup  ## kill training runs at random times and resume them (TRIALS=30)
	rm -rf runs/faults
	$(BIN)/python scripts/kill_and_resume.py runs/faults $(TRIALS)

check-gpu: setup  ## check and benchmark on a CUDA GPU (8 minutes); ARGS='--output FILE …'
	$(BIN)/python scripts/check_gpu.py $(ARGS)

benchmark: setup  ## measure speed, memory, start-up and scaling; ARGS='--compare FILE …'
	$(BIN)/python scripts/benchmark.py $(ARGS)

lint: setup  ## check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: setup  ## format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

tensorboard: setup  ## show the training curves of all runs on http://localhost:6006
	$(BIN)/tensorboard --logdir runs

tour: setup  ## open the tour of attention in JupyterLab (docs/tour); ARGS='--no-browser --port 8890 …'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[tour]'
	$(BIN)/jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/docs/tour/01_queries_keys_values.ipynb $(ARGS)

clean:  ## remove .venv and caches; keeps runs and downloads
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
