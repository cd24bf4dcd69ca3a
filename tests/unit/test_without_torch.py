"""Search, tokenizers and what a translator needs of `nmt.data` work where PyTorch is not installed."""

import subprocess
import sys

SCRIPT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
sys.path.insert(0, sys.argv[1])
import importlib, pkgutil
import nmt.decoding
import nmt.data.text, nmt.data.tokenizer, nmt.data.grouping

for module in pkgutil.walk_packages(nmt.decoding.__path__, "nmt.decoding."):
    if module.name != "nmt.decoding.torch_model":
        importlib.import_module(module.name)
try:
    import nmt.decoding.torch_model
except ModuleNotFoundError as error:
    assert str(error) == "torch", error
else:
    raise AssertionError("the adapter needs torch")
from array_table import ArrayTable
from nmt.config.decoding import DecodingConfig
from nmt.decoding.interface import SearchOptions

((one, two),) = ArrayTable.random(1).search([4], DecodingConfig(), SearchOptions(2, frozenset({0})))
assert one.score > two.score and one.attention.shape == (len(one.tokens) + one.finished, 2, 4)
assert "torch" not in sys.modules
"""


def test_all_but_the_adapter_is_imported_without_torch(pytestconfig):
    parity = pytestconfig.rootpath / "tests" / "parity"
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(parity)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
