"""What `check_invariance.py` consists of."""
