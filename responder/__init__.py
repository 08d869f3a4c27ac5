"""The colleague who was awake when an Argo CD hook migration failed."""
