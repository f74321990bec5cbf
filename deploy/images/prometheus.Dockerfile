# Stands in for the official prometheus image, where no registry can be reached.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
COPY packages /tmp/
RUN apt-get update && apt-get install -y --no-install-recommends $(sed -n 's/^prometheus  *//p' /tmp/packages) \
    && rm -rf /var/lib/apt/lists/* /tmp/packages && mkdir -p /prometheus && chown nobody /prometheus
USER nobody
