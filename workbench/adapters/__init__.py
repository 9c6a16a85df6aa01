"""Adapters: what there are, their settings, their credentials, and whether they connect."""
