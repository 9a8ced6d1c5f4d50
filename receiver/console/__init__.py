"""The console: pages for operators, on the private listener. Needs the extra `console`."""
