"""Inference: a translation model prepared for search, which computes the same with fewer operations."""
