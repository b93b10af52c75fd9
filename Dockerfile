# The tag says what it is, the digest (of the list of platforms) which one; Dependabot moves both.
FROM python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285 AS plain

FROM plain AS base
# lightgbm and xgboost link to it; scikit-learn brings its own.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log

# TF-IDF in ONNX lower-cases by the en_US.UTF-8 locale, which the slim image lacks: made here, copied as two megabytes.
FROM plain AS locale
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends locales \
    && rm -rf /var/lib/apt/lists/* \
    && mkdir -p /usr/lib/locale \
    && localedef --no-archive --inputfile en_US --charmap UTF-8 /usr/lib/locale/en_US.utf8

# --- Libraries: everything that changes only with requirements/runtime.txt ---
FROM base AS libraries
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends binutils \
    && rm -rf /var/lib/apt/lists/*
COPY requirements/runtime.txt /build/
RUN python3 -m venv --without-pip /opt/preflight \
    && pip --python /opt/preflight/bin/python3 install --no-cache-dir --no-compile --disable-pip-version-check \
        --only-binary :all: --require-hashes -r /build/runtime.txt
COPY container/slim.sh container/compile_imported.py container/added.sh /build/
RUN sh /build/slim.sh /opt/preflight/lib/python3.13/site-packages \
    && touch /build/before \
    && /opt/preflight/bin/python3 -I /build/compile_imported.py \
        dulwich.repo httpx jinja2 joblib lightgbm numpy onnx onnxruntime pandas pyarrow.csv pyarrow.dataset \
        pyarrow.feather pyarrow.parquet pydantic rich.progress skl2onnx sklearn.compose sklearn.ensemble \
        sklearn.impute sklearn.linear_model sklearn.neural_network sklearn.pipeline sklearn.preprocessing \
        sklearn.svm xgboost \
    && sh /build/added.sh /build/before /build/added /usr/local/lib

# --- The package itself, as the wheel that is also published ---
FROM base AS package
COPY requirements/build.txt /build/
RUN pip install --no-cache-dir --disable-pip-version-check --only-binary :all: --require-hashes -r /build/build.txt
WORKDIR /build/source
COPY pyproject.toml README.md LICENSE ./
COPY docs/preflight.schema.json docs/
COPY validator validator
RUN pip wheel --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir /build/wheel .

# --- The package beside its libraries; what that adds to them becomes a small layer of its own ---
FROM libraries AS assembled
COPY --from=package /build/wheel /build/wheel
COPY container/sbom.py /build/
RUN touch /build/before \
    && pip --python /opt/preflight/bin/python3 install --no-cache-dir --no-compile --disable-pip-version-check \
        --no-deps --no-index /build/wheel/*.whl \
    && /opt/preflight/bin/python3 -I /build/compile_imported.py 'validator.*' \
    && mkdir -p /opt/preflight/share \
    && /opt/preflight/bin/python3 -I /build/sbom.py >/opt/preflight/share/sbom.cdx.json \
    && rm -rf /build/added \
    && sh /build/added.sh /build/before /build/added /opt/preflight \
    && sh /build/added.sh /build/before /build/added /usr/local/lib

# --- Serving: a second, small image: docker build --target serve ---
FROM base AS serving-libraries
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends binutils \
    && rm -rf /var/lib/apt/lists/*
COPY requirements/serve.txt /build/
RUN python3 -m venv --without-pip /opt/preflight \
    && pip --python /opt/preflight/bin/python3 install --no-cache-dir --no-compile --disable-pip-version-check \
        --only-binary :all: --require-hashes -r /build/serve.txt
COPY container/slim.sh container/slim_serving.sh container/compile_imported.py /build/
COPY --from=package /build/wheel /build/wheel
RUN sh /build/slim.sh /opt/preflight/lib/python3.13/site-packages \
    && sh /build/slim_serving.sh /opt/preflight/lib/python3.13/site-packages \
    && pip --python /opt/preflight/bin/python3 install --no-cache-dir --no-compile --disable-pip-version-check \
        --no-deps --no-index /build/wheel/*.whl \
    && /opt/preflight/bin/python3 -I /build/compile_imported.py \
        'validator.serving.*' uvloop pyarrow.parquet validator.cli.main validator.artifact.read \
        validator.registry.remote.repository

FROM plain AS serve
COPY --from=locale /usr/lib/locale/en_US.utf8 /usr/lib/locale/en_US.utf8
COPY --from=serving-libraries /opt/preflight /opt/preflight
ENV LANG=en_US.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1
ARG VERSION=0.1.0
ARG REVISION=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="Model Preflight, serving" \
      org.opencontainers.image.description="Serves a judged model over HTTP, with metrics." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim-trixie"
USER 65532:65532
WORKDIR /
EXPOSE 8080
# A container's own network: a proxy or the orchestrator decides who reaches it. A later --host wins.
ENTRYPOINT ["/opt/preflight/bin/python3", "-I", "-B", "-m", "validator.serving", "--host", "0.0.0.0"]
CMD ["--help"]

# --- The image ---
FROM base AS image
COPY --from=locale /usr/lib/locale/en_US.utf8 /usr/lib/locale/en_US.utf8
COPY --from=libraries /opt/preflight /opt/preflight
COPY --from=libraries /build/added /
COPY --from=assembled /build/added /

# PYTHON*: for interpreters that the user names; ours runs isolated, which ignores them, and gets -B instead.
ENV LANG=en_US.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1

ARG VERSION=0.1.0
ARG REVISION=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="Model Preflight" \
      org.opencontainers.image.description="The last check before a machine-learning model ships: exact ONNX conversion, proved parity, an enforced checklist." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim-trixie"

# No USER: the runner's files belong to the runner's user, and the model is judged in workers without rights.
WORKDIR /work
# -I: neither the checkout nor the environment decides what is imported. -B: nothing is written beside it.
ENTRYPOINT ["/opt/preflight/bin/python3", "-I", "-B", "-m", "validator.cli"]
CMD ["--help"]
