FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -o /out/eventserver ./cmd/eventserver && mkdir /out/data

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
