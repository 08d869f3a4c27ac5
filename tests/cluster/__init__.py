"""A real etcd, kube-apiserver, kube-controller-manager and Argo CD as plain processes on loopback, and tests on them.

`make test-cluster` does everything; `make test-cluster ARGS="-k story"` chooses. The programs are built from the pinned
modules of ``tools/`` into ~/.cache/argocd-hook-responder, once; RESPONDER_TEST_BIN names a folder that has them all
instead. It needs Linux, root (the kubelet makes mount and PID namespaces) and Debian's redis-server, git, postgresql
and mariadb-server.

By hand: ``python -m tests.cluster up``, and what it prints. Then ``pytest -m real_cluster tests/cluster/test_x.py``
runs on that cluster as often as one likes. Marks: ``real_cluster`` on every test that needs it; ``alone`` as well on
one that stops a program (``Running.tell``), for which no other test may run beside it.
"""
