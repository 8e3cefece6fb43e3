# Everything sets up .venv by itself. On a machine without a GPU, see README.md ("CPU only") before the first call.
PYTHON ?= python3
BIN := .venv/bin
PORT ?= 8000
FUZZ ?= 500
PAGE := _build/html/book/index.html
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# TORCH_INDEX=<address>: where to take CPU-only builds of torch and torchvision from.
ifdef TORCH_INDEX
TORCH_FIRST = $(BIN)/pip install --quiet --index-url "$(TORCH_INDEX)" $$(grep -E '^torch(vision)?==' requirements.txt)
else
TORCH_FIRST = :
endif

CONSTRAINTS := -c constraints.txt

# What the pages are made of: make test and make serve build again only when one of these changed.
SOURCES := _config.yml _toc.yml requirements.txt $(shell find book lib data/recorded -type f \
  -not -path '*/__pycache__/*' -not -path '*.egg-info/*' -not -path '*/.*' 2>/dev/null)

.PHONY: archive book test fuzz serve bench mutants record outputs worksheets slides handouts constraints clean

book: .venv/installed  ## execute the chapters, build the pages
	@$(BIN)/jupyter-book build --all -W --keep-going --quiet .
	@touch _build/.built
	@echo "The book is built. Open $(CURDIR)/$(PAGE)"

_build/.built: $(SOURCES) | .venv/installed
	@$(MAKE) --no-print-directory book

test: .venv/installed _build/.built  ## lint, unit tests, the notebooks re-executed, the built book in a browser
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -q -n auto --dist loadscope --nbval-lax --nbval-current-env tests lib book

fuzz: .venv/installed  ## random parameters of every chapter, each really run (an hour for the 500); FUZZ=50 draws fewer
	@$(BIN)/python tests/fuzzing.py $(FUZZ)

serve: _build/.built  ## show the book on localhost
	@$(BIN)/python tools/serve.py '$(PORT)'

archive: _build/.built  ## the built pages in one file to take along, with its size
	@$(BIN)/python tools/archive.py

bench: .venv/installed  ## timings, each against what a user would write instead
	$(BIN)/python -m pytest -q benchmarks --benchmark-only --benchmark-columns=median,iqr,rounds -p no:cacheprovider

mutants: .venv/installed  ## change 100 places of theory, layers and verdicts, one at a time: tests must notice 90 (half an hour)
	@$(BIN)/pip install --quiet cosmic-ray==8.7.0 $(CONSTRAINTS)
	@$(BIN)/python tools/mutants.py

record: .venv/installed  ## the full-scale runs (hours for some chapters); resumes where it stopped
	@command -v git >/dev/null || echo "No git here: the provenance of these results will say commit unknown."
	@for preset in book/presets/paper/*.yml; do $(BIN)/bnlab record $$(basename $$preset .yml) --preset paper || exit; done

outputs: .venv/installed  ## re-execute the notebooks and keep their checked outputs and times, for committing
	$(BIN)/python tools/refresh_outputs.py

worksheets: .venv/installed  ## notebooks for students, and with solutions for the teacher; CHAPTERS="04 16" makes these only
	@$(BIN)/python tools/make_worksheets.py $(CHAPTERS)

slides: _build/.built  ## a lecture's slides for each chapter, out of the built book: one HTML file each, for offline use
	@$(BIN)/python tools/make_slides.py $(CHAPTERS)

handouts: _build/.built  ## each chapter on one page of paper, out of the built book
	@$(BIN)/python tools/make_handouts.py $(CHAPTERS)

constraints:  ## resolve requirements.txt anew (delete .venv first) and write down what came along
	@$(MAKE) --no-print-directory .venv/installed CONSTRAINTS=
	@{ grep '^#' constraints.txt; $(BIN)/pip freeze --exclude-editable | sed 's/+cpu//'; } >constraints.new
	@mv constraints.new constraints.txt

clean:  ## remove what can be made again; recorded results, downloads, your runs and worksheets stay
	rm -rf _build .venv slides handouts .pytest_cache .ruff_cache

.venv/installed: requirements.txt constraints.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "No $(PYTHON) here: install Python 3.11 or newer, or call make with PYTHON=/path/to/python3."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: install Python 3.11 or newer, or call make with PYTHON=/path/to/python3."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) has no venv module: install it (Debian and Ubuntu: apt install python3-venv)."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Setting up .venv (once; some minutes) ..."
	@$(TORCH_FIRST)
	@$(BIN)/pip install --quiet -r requirements.txt $(CONSTRAINTS)
	@touch $@
