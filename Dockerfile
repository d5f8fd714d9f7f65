# The gateway in one image; how it is built, run and kept: docs/operate.md#docker.
# Two stages, so that neither pip's cache nor build tools are in what runs.
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/gateway \
 && /opt/gateway/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY gateway ./gateway
COPY schemas ./schemas
# Not all of config: what an operator keeps there, secrets among it, is no part of an image.
COPY config/demo ./config/demo
RUN /opt/gateway/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
 && /opt/gateway/bin/pip uninstall -y pip hatchling editables

FROM python:3.13-slim
# Numbers of our own, and no names: whoever mounts a folder must know them, and Kubernetes (runAsNonRoot) reads numbers only.
RUN groupadd --gid 10001 gateway \
 && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin gateway \
 && install -d -m 0700 -o 10001 -g 10001 /data
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH GATEWAY_CONFIG=/data/config/gateway.toml GATEWAY__WEB__HOST=0.0.0.0 PYTHONUNBUFFERED=1
USER 10001:10001
# No image without a library that signing, judging or serving loads.
RUN gateway sign --help > /dev/null && gateway verify --help > /dev/null && gateway config check --help > /dev/null
WORKDIR /data
VOLUME /data
EXPOSE 8080
# The first start of a new version may change a large database before it serves.
HEALTHCHECK --interval=30s --timeout=15s --start-period=10m CMD ["gateway", "alive"]
ENTRYPOINT ["gateway"]
CMD ["serve"]
