# One image with all of certfleet's programs: docker build -t certfleet .
#
# The Kubernetes chart and compose.yaml start them by their names. Nobody is root in it, nothing of it is written to but
# /var/lib/certfleet, and there is no shell.

FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p certfleet -p certfleet-api -p certfleet-worker -p certfleet-scheduler -p certfleet-metrics-adapter -p certfleet-agent
RUN scripts/image-root target/release /image

FROM scratch
COPY --from=build /image /
ENV PATH=/usr/bin
USER 65532:65532
VOLUME /var/lib/certfleet
# The API, the public HTTP port, the metrics adapter, probes and metrics.
EXPOSE 8443 8080 6443 9090
CMD ["certfleet", "--help"]
