"""Secrets and row data out, structure kept."""
