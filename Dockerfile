# An image with one static binary in it, which takes the place of registry:2.
#
#   docker build -t registry .                                  compiles inside of Docker
#   .ci/image-files BINARY target/image/files                   takes a static binary that is there:
#   docker build --build-arg FILES=given -f Dockerfile -t registry target/image
ARG FILES=compiled

FROM docker.io/library/rust:1.95-alpine AS compiled
RUN apk add --no-cache build-base ca-certificates
WORKDIR /source
COPY . .
RUN cargo build --locked --profile dist && .ci/image-files target/dist/registry /files

FROM scratch AS given
COPY files /files

FROM ${FILES} AS files

FROM scratch
COPY --from=files /files /
ENV PATH=/bin REGISTRY_CONFIGURATION_PATH=/etc/docker/registry/config.yml
EXPOSE 5000
VOLUME /var/lib/registry
# of whatever configuration the container was started with
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s CMD ["/bin/registry", "health"]
ENTRYPOINT ["/bin/registry"]
CMD ["serve", "/etc/docker/registry/config.yml"]
