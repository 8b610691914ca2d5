# One image for Ray's head and workers, the job and the MLflow server; see infra/README.md.
FROM python:3.11.15-slim-bookworm AS builder
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /app
COPY requirements.lock ./
# what the lock does not name, or names with another hash, is not installed
RUN pip install --require-hashes --no-deps --only-binary=:all: -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY grokmodel grokmodel
COPY service service
COPY sweeps sweeps
COPY infra infra
RUN pip install --no-deps --no-build-isolation --editable . \
    && pip check \
    && python -m compileall -q grokmodel service sweeps infra

FROM python:3.11.15-slim-bookworm
ARG GIT_COMMIT=unknown
# the root file system is read-only where this runs: all that is written goes below /tmp
ENV PATH=/opt/venv/bin:$PATH \
    GIT_COMMIT=$GIT_COMMIT \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
LABEL org.opencontainers.image.revision=$GIT_COMMIT
COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /app /app
RUN groupadd --gid 10001 grok && useradd --uid 10001 --gid grok --home-dir /tmp --no-create-home grok
USER 10001:10001
WORKDIR /app
CMD ["grok", "--help"]
