"""Processes of this system: gateway, Prefect, MLflow; their ports, and the check-up."""
