# Kassa's four services and the audit, in one image: which of them runs is the command.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
        gcc libc6-dev make pkg-config libuv1-dev librabbitmq-dev libhiredis-dev \
        libmicrohttpd-dev libjson-c-dev uthash-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /kassa
COPY . .
RUN make -j2 DESTDIR=/out PREFIX=/usr/local install

FROM ${BASE}
RUN apt-get update && apt-get install -y --no-install-recommends \
        libuv1 librabbitmq4 libhiredis0.14 libmicrohttpd12 libjson-c5 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin kassa
COPY --from=build /out/usr/local/bin/ /usr/local/bin/
USER kassa
CMD ["kassa-gateway", "--help"]
