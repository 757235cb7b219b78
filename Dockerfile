# An image of weir for `weir install`: one static binary, nothing beside it but
# CA certificates, and a user without rights. `make image` builds it; its
# context is the folder with the binary, so nothing else gets in.
FROM gcr.io/distroless/static-debian12:nonroot
COPY weir /weir
USER 65532:65532
ENTRYPOINT ["/weir"]
