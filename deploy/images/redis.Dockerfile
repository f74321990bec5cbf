# Stands in for the official redis image, where no registry can be reached.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
COPY packages /tmp/
RUN apt-get update && apt-get install -y --no-install-recommends $(sed -n 's/^redis  *//p' /tmp/packages) \
    && rm -rf /var/lib/apt/lists/* /tmp/packages && mkdir -p /data && chown redis:redis /data
USER redis
WORKDIR /data
CMD ["redis-server"]
