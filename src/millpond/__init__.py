"""Millpond: a self-hosted, wire-compatible successor to Amazon Cognito Sync."""

__version__ = "0.2.0"
