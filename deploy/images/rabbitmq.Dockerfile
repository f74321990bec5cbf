# Stands in for the official rabbitmq image, where no registry can be reached.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
COPY packages /tmp/
RUN apt-get update && apt-get install -y --no-install-recommends $(sed -n 's/^rabbitmq  *//p' /tmp/packages) \
    && rm -rf /var/lib/apt/lists/* /tmp/packages /var/lib/rabbitmq/.erlang.cookie \
    && chown -R rabbitmq:rabbitmq /var/lib/rabbitmq
ENV PATH=/usr/lib/rabbitmq/bin:$PATH
USER rabbitmq
CMD ["rabbitmq-server"]
