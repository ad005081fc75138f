# Images with one static binary, drop-in replacements for registry:2.
#
#   docker build -t tarkeep .                                   compiles inside Docker; with a shell and busybox
#   docker build --target bare -t tarkeep:bare .                the binary alone: no shell, no other program
#
#   .ci/image-files BINARY target/image/files                   uses a static binary that you have built
#   docker build --build-arg FILES=given -f Dockerfile -t tarkeep target/image
ARG FILES=compiled

FROM docker.io/library/rust:1.95-alpine AS compiled
RUN apk add --no-cache build-base busybox-static ca-certificates
WORKDIR /source
COPY . .
RUN cargo build --locked --profile dist && .ci/image-files target/dist/registry /files

FROM scratch AS given
COPY files /files

FROM ${FILES} AS files

FROM scratch AS common
COPY --from=files /files/common /
ENV PATH=/bin REGISTRY_CONFIGURATION_PATH=/etc/docker/registry/config.yml
EXPOSE 5000
VOLUME /var/lib/registry
# finds the server's address itself, whatever configuration the container was started with
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s CMD ["/bin/registry", "health"]

FROM common AS bare
COPY --from=files /files/bare /
ENTRYPOINT ["/bin/registry"]
CMD ["serve", "/etc/docker/registry/config.yml"]

# last, because `docker build` without a target builds the last one
FROM common
COPY --from=files /files/shell /
ENTRYPOINT ["/entrypoint.sh"]
CMD ["serve", "/etc/docker/registry/config.yml"]
