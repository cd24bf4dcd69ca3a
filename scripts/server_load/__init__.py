"""How the server behaves under load; used by scripts/load_test.py."""
