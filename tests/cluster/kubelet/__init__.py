"""A small kubelet whose containers are processes: enough of the real one to run Jobs on a real API server.

It registers a Node, binds Pods to it (there is no scheduler), runs their commands, reports what became of them in the
words of the kubelet v1.36, and serves logs. Run it as root: every container gets a private root and PID namespace.

As in any container the first process is PID 1: SIGTERM does nothing to it unless it has a handler, so a plain
``sleep 600`` or ``sh -c`` uses up its whole grace period.

What it does not do: images (programs are the host's; ``--images`` says what an image would have brought along),
networks, Services and names of the cluster, limits of CPU and memory, probes, lifecycle hooks, restart rules of single
containers, ephemeral containers, exec, attach, port-forward, PersistentVolumeClaims, projected cluster trust bundles,
refreshing of mounted Secrets, ConfigMaps and tokens. A kubelet that is started again does not take up the processes of
the one before: they died with it, and their Pods are told as failed.
"""
