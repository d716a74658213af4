FROM golang:1.26 AS build
# Both come from the repository. Without one, --build-arg sets them.
ARG VERSION=
ARG COMMIT=
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
# grpcnotrace: without gRPC's debug pages and the templates that they need, the linker leaves
# out every method that nothing calls. -s -w: no symbols for a debugger; stack traces keep their names.
# The .git of a worktree or a submodule is a file that points out of the context.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    { [ -d .git ] || rm -f .git; } && CGO_ENABLED=0 go build -trimpath -tags grpcnotrace \
    -ldflags "-s -w -X eventserver/app/version.release=$VERSION -X eventserver/app/version.commit=$COMMIT" \
    -o /out/eventserver ./cmd/eventserver && mkdir -m 0700 /out/data

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/eventserver /eventserver
COPY --from=build --chown=nonroot:nonroot /out/data /data
COPY --chmod=0644 deploy/container.yaml /etc/eventserver.yaml
USER nonroot
WORKDIR /
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["/eventserver"]
CMD ["--config", "/etc/eventserver.yaml"]
