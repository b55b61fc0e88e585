"""What goes on beside the requests: the outbox relay, bulk publishes, housekeeping."""
