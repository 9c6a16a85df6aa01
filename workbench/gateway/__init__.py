"""The HTTP and WebSocket door: every verb of the workbench as an endpoint."""
