"""What is remembered: one port (`responder.ports.Store`), adapters that keep it."""
