"""What `responder snippets` prints: the same files as in deploy/, held equal by a test."""
