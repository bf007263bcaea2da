"""docs/operations.md speaks of things that there are."""

import re
from pathlib import Path

from kubernetes_tools import render

from horoscope.cli import COMMANDS
from horoscope.settings import Settings

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def test_every_file_that_the_runbook_names_is_there() -> None:
    named = re.findall(r"(?<![\w/])((?:kube|monitoring|docker|tests|docs|\.github)/[\w./-]+)", TEXT)
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path.rstrip(".")).exists()] == []


def test_every_object_that_the_runbook_names_is_in_the_manifests() -> None:
    there = {
        (manifest["kind"].lower(), manifest["metadata"]["name"])
        for overlay in ("single", "cluster")
        for manifest in render(ROOT / "kube" / "overlays" / overlay)
    }
    named = re.findall(r" (deployment|statefulset|kafka)/([a-z-]+)\b", TEXT)
    assert named
    assert set(named) <= there
    pods = set(re.findall(r"\b([a-z]+)-0\b", TEXT))
    assert {("statefulset", pod.removeprefix("data-")) for pod in pods} <= there
    assert ("scaledobject", "generator") in there


def test_every_command_and_setting_that_the_runbook_names_is_one() -> None:
    commands = set(re.findall(r"(?:-- |bot |`)horoscope ([a-z][a-z-]+)\b", TEXT))
    assert commands
    assert commands <= COMMANDS.keys()
    settings = {f"HOROSCOPE_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"HOROSCOPE_\w+", TEXT)) - {"HOROSCOPE_TEST_IMAGES"} <= settings


def test_every_link_within_the_runbook_leads_somewhere() -> None:
    titles = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    anchors = {"-".join(re.sub(r"[^\w\s-]", "", title.lower()).split()) for title in titles}
    assert set(re.findall(r"\]\(#([\w-]+)\)", TEXT)) <= anchors


def test_ten_failures_are_told_of() -> None:
    failures = TEXT.partition("## Ten failures")[2]
    assert len(re.findall(r"^### ", failures, re.MULTILINE)) == 10
