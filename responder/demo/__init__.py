"""A cluster in memory, a model of Argo CD's controller, a replayer of recordings, scripted incidents."""
