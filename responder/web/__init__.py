"""The faces over HTTP: webhook intake, incident API, gate, pages, probes."""
