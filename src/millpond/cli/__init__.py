"""The command line: `millpond cognito-sync ...`, `serve`, `key`, `demo`."""
