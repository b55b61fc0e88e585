"""Pure rules: no I/O, no clock, no globals. Times are integer epoch milliseconds."""
