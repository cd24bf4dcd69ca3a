"""What all commands share, in a process of its own."""

import os
import subprocess
import sys

import pytest

SAID = """
import os, sys
from nmt import cli
cli.run(lambda: print(os.environ.get("GOMP_SPINCOUNT"), *sys.modules))
"""


@pytest.mark.parametrize(
    ("given", "count"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")],
)
def test_threads_that_wait_leave_the_cores_to_others(given, count):
    environment = {key: value for key, value in os.environ.items() if key != "GOMP_SPINCOUNT"}
    done = subprocess.run(
        [sys.executable, "-c", SAID], env=environment | given, capture_output=True, text=True, check=True
    )
    found, *modules = done.stdout.split()
    assert found == count
    assert "nmt.errors" in modules
    assert "torch" not in modules  # it reads this when it is loaded
