"""The checks run by `scripts/check_gpu.py`."""
