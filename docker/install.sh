#!/bin/sh
# Installs the package, one of its dependency groups and the extra `tracing` into /opt/horoscope, in
# an image's build.
set -eu
# (pip itself knows groups since 25.1; Debian's is older.)
python3 - "$1" >group.txt <<'PYTHON'
import sys, tomllib
with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)
extra = project["project"]["optional-dependencies"]["tracing"]
print(*project["dependency-groups"][sys.argv[1]], *extra, sep="\n")
PYTHON
pip="/opt/horoscope/bin/pip --disable-pip-version-check"
# tokenizers asks for a client of the Hugging Face hub (15 MB), for a function not called here.
grep '^tokenizers' group.txt >alone.txt || true
grep -v '^tokenizers' group.txt >others.txt
$pip install --quiet --constraint constraints.txt --requirement others.txt
$pip install --quiet --constraint constraints.txt --no-deps --requirement alone.txt
# The texts to learn from are for training, and the best model is a directory of its own in the
# generator's image; the bot needs none.
rm -rf src/horoscope/models/best src/horoscope/corpus/*.jsonl
[ "$1" = generator ] || rm -rf src/horoscope/models
$pip install --quiet --no-deps .
[ "$1" != generator ] || ln -s /model "$(echo /opt/horoscope/lib/python3*/site-packages/horoscope)/models/best"
$pip uninstall --quiet --yes setuptools pip
