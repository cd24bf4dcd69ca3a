"""The small English–Marathi grammar that generates the bundled corpus."""
