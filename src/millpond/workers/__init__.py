"""What goes on beside the requests: outbox, pushes, bulk publishes, housekeeping."""
