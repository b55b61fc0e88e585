"""Where the data of a pool moves in from. `base` is the port."""
