# The one binary, and the ansible-core that the deploy worker runs playbooks with.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked --bin dcm && cp target/dist/dcm /usr/local/bin/dcm

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl openssh-client python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/ansible \
    && /opt/ansible/bin/pip install --no-cache-dir 'ansible-core==2.19.*' \
    && useradd --system --uid 10001 --home-dir /var/lib/dcm dcm \
    # Named volumes take over the owner of the folder they are first mounted on.
    && install -d -o dcm -g dcm -m 0700 /var/lib/dcm /var/lib/dcm/deploy /var/lib/dcm/loads /var/lib/dcm/ansible /keys
COPY --from=build /usr/local/bin/dcm /usr/local/bin/dcm
ENV PATH=/opt/ansible/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
USER dcm
WORKDIR /var/lib/dcm
EXPOSE 8119
ENTRYPOINT ["dcm"]
CMD ["serve"]
