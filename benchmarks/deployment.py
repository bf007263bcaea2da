"""What a deployment costs: cold starts, the check of the manifests, the size of the images.

    HOROSCOPE_MODEL=fast python benchmarks/deployment.py [--rounds 5] [--images] [--json]

A cold start is from the start of the process to 200 at /ready, with Kafka there and the model
`fast`; the baseline is `python -c 'import openvino'`. The manifests are rendered and checked as
`make manifests` does; the baseline is `kubectl kustomize` of both overlays alone. With --images (as
root, with Buildah; it builds them) the generator starts from its image, too.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import psutil
from built_images import BASE, TAG, Image, build_images
from kafka_server import KafkaServer, free_port
from kubernetes_tools import kubectl, render

ROOT = Path(__file__).parent.parent
Figures = dict[str, float]


def is_ready(port: int) -> bool:
    """Whether /ready says so."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=1):
            return True
    except OSError:
        return False


def seconds(step: Callable[[], object]) -> float:
    """How long something takes."""
    begun = time.perf_counter()
    step()
    return time.perf_counter() - begun


def until_ready(port: int) -> None:
    """Wait for /ready."""
    while not is_ready(port):
        time.sleep(0.01)


def cold_start(kafka: str) -> tuple[float, float]:
    """Seconds until a generator is ready, and how many of them a processor was at work."""
    port = free_port()
    env = os.environ | {
        "HOROSCOPE_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "HOROSCOPE_HTTP_PORT": str(port),
    }
    begun = time.perf_counter()
    command = [sys.executable, "-m", "horoscope", "worker"]
    with subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) as process:
        until_ready(port)
        took = time.perf_counter() - begun
        worked = psutil.Process(process.pid).cpu_times()
        process.terminate()
    return took, worked.user + worked.system


def cold_start_of_image(image: Image, kafka: str) -> float:
    """The same from the image."""
    port = free_port()
    begun = time.perf_counter()
    env = {"HOROSCOPE_KAFKA_BOOTSTRAP_SERVERS": kafka, "HOROSCOPE_HTTP_PORT": str(port)}
    with image.running(env) as container:
        until_ready(port)
        took = time.perf_counter() - begun
        container.stop()
    return took


def measure_starts(rounds: int, images: bool) -> Figures:
    """Medians of `rounds`."""
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as directory:
        kafka = KafkaServer(Path(directory))
        kafka.start()
        try:
            cold_start(kafka.address)  # makes the topics
            walls, works = zip(*(cold_start(kafka.address) for _ in range(rounds)), strict=True)
            figures["generator_cold_start_s"] = statistics.median(walls)
            figures["generator_cold_start_cpu_s"] = statistics.median(works)
            if images:
                image = Image(f"localhost/horoscope-generator:{TAG}")
                starts = [cold_start_of_image(image, kafka.address) for _ in range(rounds)]
                figures["generator_image_cold_start_s"] = statistics.median(starts)
                image.remove()
        finally:
            kafka.stop()
    command = [sys.executable, "-c", "import openvino"]
    alone = [seconds(lambda: subprocess.run(command, check=True)) for _ in range(rounds)]
    figures["import_openvino_s"] = statistics.median(alone)
    figures["times_import_openvino"] = (
        figures["generator_cold_start_s"] / figures["import_openvino_s"]
    )
    return figures


def measure_manifests() -> Figures:
    """The check as CI does it, and the rendering alone."""
    overlays = [ROOT / "kube" / "overlays" / name for name in ("single", "cluster")]
    kubectl()  # may have to be fetched, once
    check = [sys.executable, "-m", "pytest", "tests/test_deployment_manifests.py"]
    checked = seconds(
        lambda: subprocess.run(check, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    )
    rendered = seconds(lambda: [render(overlay) for overlay in overlays])
    return {"manifests_checked_s": checked, "manifests_rendered_s": rendered}


def measure_images() -> Figures:
    """What each image adds to its base, unpacked, in megabytes."""
    base = Image(BASE)
    figures: Figures = {"base_image_mb": base.unpacked_bytes / 1e6}
    for program in ("bot", "generator"):
        image = Image(f"localhost/horoscope-{program}:{TAG}")
        figures[f"{program}_adds_mb"] = (image.unpacked_bytes - base.unpacked_bytes) / 1e6
        image.remove()
    base.remove()
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = {}
    if options.images:
        build_images()
        figures |= measure_images()
    figures |= measure_starts(options.rounds, options.images) | measure_manifests()
    if options.json:
        print(json.dumps(figures))
    else:
        for name, figure in figures.items():
            print(f"{name:30} {figure:8.2f}")


if __name__ == "__main__":
    main()
