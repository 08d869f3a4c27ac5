"""Everything that speaks to Kubernetes or Argo CD; only `actuator` and `lease` write."""
