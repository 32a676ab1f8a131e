"""Writes what is derived: the chart's CRD template and table of values, and manifests/install.yaml."""
