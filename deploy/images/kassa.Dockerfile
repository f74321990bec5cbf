# Kassa's services and the audit, in one image: which of them runs is the command.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
COPY deploy/packages /tmp/
RUN apt-get update && apt-get install -y --no-install-recommends $(sed -n 's/^build  *//p' /tmp/packages) \
    && rm -rf /var/lib/apt/lists/* /tmp/packages
WORKDIR /kassa
COPY . .
RUN make -j2 DESTDIR=/out PREFIX=/usr/local install

FROM ${BASE}
COPY deploy/packages /tmp/
RUN apt-get update && apt-get install -y --no-install-recommends $(sed -n 's/^libraries  *//p' /tmp/packages) \
    && rm -rf /var/lib/apt/lists/* /tmp/packages \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin kassa
COPY --from=build /out/usr/local/bin/ /usr/local/bin/
USER kassa
CMD ["kassa-gateway", "--help"]
