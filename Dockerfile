# docker build -t registry.example.com/hook-responder:0.1.0 .
# The base is pinned by tag; pin it by digest in your own build (`FROM python:...@sha256:...`).
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/build /opt/responder
COPY requirements-build.lock requirements.lock ./
RUN ["/opt/build/bin/pip", "install", "--no-cache-dir", "--require-hashes", "-r", "requirements-build.lock"]
RUN ["/opt/responder/bin/pip", "install", "--no-cache-dir", "--no-compile", "--only-binary", ":all:", "--require-hashes", "-r", "requirements.lock"]
COPY pyproject.toml README.md LICENSE ./
COPY responder responder
RUN ["/opt/build/bin/pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", "/wheels", "."]
RUN ["/opt/responder/bin/pip", "install", "--no-cache-dir", "--no-compile", "--no-deps", "--no-index", "--find-links", "/wheels", "argocd-hook-responder"]
RUN ["/opt/responder/bin/pip", "uninstall", "--yes", "pip"]
# The root filesystem is read-only when it runs, and the base has no bytecode of Python's own library: all is made here.
COPY deploy/bytecode.py ./
ENV PYTHONPYCACHEPREFIX=/opt/bytecode
RUN ["python", "bytecode.py", "/opt/responder/lib", "/usr/local/lib"]

FROM python:3.13-slim-bookworm
LABEL org.opencontainers.image.title="argocd-hook-responder" \
      org.opencontainers.image.description="Names the cause of failed Argo CD hook migrations, and acts by rules" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/responder /opt/responder
COPY --from=build /opt/bytecode /opt/bytecode
ENV PATH=/opt/responder/bin:$PATH \
    PYTHONPYCACHEPREFIX=/opt/bytecode \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /
EXPOSE 8080
ENTRYPOINT ["responder"]
CMD ["serve", "--config", "/etc/hook-responder/responder.yaml"]
