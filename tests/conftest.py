"""Fixtures for all tests; see the modules that are named here."""

pytest_plugins = ["tests.cluster.fixtures", "tests.cluster.kind_fixtures", "tests.cluster.monitoring.fixtures"]
