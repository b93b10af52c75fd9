"""Monitoring, made from the artifact and its limits: rules and their tests, dashboard, page, live quality."""
