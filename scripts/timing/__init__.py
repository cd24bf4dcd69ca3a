"""The measurements of `benchmark.py` and `gpu_speed.py`."""
