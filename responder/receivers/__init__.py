"""Who is told: one module a receiver, and the durable outbox that delivers."""
