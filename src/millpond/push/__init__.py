"""Push services: the port, and the one that goes through Amazon SNS."""
