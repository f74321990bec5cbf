# Stands in for the official redis_exporter image, where no registry can be reached.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
COPY packages /tmp/
RUN apt-get update && apt-get install -y --no-install-recommends $(sed -n 's/^redis-exporter  *//p' /tmp/packages) \
    && rm -rf /var/lib/apt/lists/* /tmp/packages && ln -s /usr/bin/prometheus-redis-exporter /redis_exporter
USER nobody
