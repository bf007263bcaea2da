#!/bin/sh
# Installs the package and one of its dependency groups into /opt/horoscope, in an image's build.
# (pip knows groups since 25.1, and Debian's is older.)
set -eu
python3 - "$1" >group.txt <<'PYTHON'
import sys, tomllib
with open("pyproject.toml", "rb") as file:
    print(*tomllib.load(file)["dependency-groups"][sys.argv[1]], sep="\n")
PYTHON
# The model is a directory of its own in an image.
rm -rf src/horoscope/models/embedded
pip="python3 -m pip --python /opt/horoscope/bin/python --disable-pip-version-check"
# On Debian's Python, pip finds the certificates of the system by itself.
$pip install --quiet --constraint constraints.txt --requirement group.txt
$pip install --quiet --no-deps .
