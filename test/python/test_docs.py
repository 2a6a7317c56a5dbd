"""The pages of docs/ say what is so."""

import os
import re
import subprocess
import sys

import pytest

from conftest import ROOT


def test_life_of_a_model():
    """The IR on the page is what hrcc prints; docs/update_life.py updates."""
    script = os.path.join(ROOT, "docs", "update_life.py")
    result = subprocess.run([sys.executable, script, "--check"],
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("page", ["README.md", "docs/README.md",
                                  "docs/artifact.md", "docs/embedding.md",
                                  "docs/python.md", "examples/README.md",
                                  "docs/life-of-a-model.md",
                                  "docs/performance.md",
                                  "docs/testing.md",
                                  "docs/rationale.md"])
def test_links_lead_somewhere(page):
    path = os.path.join(ROOT, page)
    with open(path) as file:
        text = re.sub(r"^```.*?^```", "", file.read(), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)#]+)", text):
        if "://" not in link:
            target = os.path.join(os.path.dirname(path), link)
            assert os.path.exists(target), f"{page} links to {link}"


def test_every_phase_is_on_the_page(hrcc):
    """Phases of the help text have a heading on the page."""
    text = subprocess.run([hrcc, "--help"], capture_output=True, text=True,
                          check=True).stdout
    phases = re.findall(r"^  (\w+) +\S", text.split("PHASES")[1], re.M)
    assert phases[0] == "aten" and phases[-1] == "so"
    with open(os.path.join(ROOT, "docs", "life-of-a-model.md")) as file:
        headings = " ".join(re.findall(r"^## (.*)$", file.read(), re.M))
    for phase in phases:
        assert f"`{phase}`" in headings
