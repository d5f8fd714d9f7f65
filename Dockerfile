# The gateway in one image: `docker run -v gateway:/data -p 8080:8080 IMAGE` after `… gateway init /data/config`.
# Two stages, so that neither pip's cache nor build tools are in what runs.
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/gateway \
 && /opt/gateway/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY gateway ./gateway
COPY schemas ./schemas
COPY config ./config
RUN /opt/gateway/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
 && /opt/gateway/bin/pip uninstall -y pip hatchling editables

FROM python:3.13-slim
RUN useradd --system --uid 10001 --create-home --home-dir /data gateway
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH GATEWAY_CONFIG=/data/config/gateway.toml GATEWAY__WEB__HOST=0.0.0.0 PYTHONUNBUFFERED=1
USER gateway
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["gateway"]
CMD ["serve"]
