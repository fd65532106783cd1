//! Makes the server's side of the EventStoreDB protocol out of the journal's `proto/`, without `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto = "../../journal/proto";
    println!("cargo::rerun-if-changed={proto}");
    let files = protox::compile(["streams.proto", "gossip.proto"], [proto])?;
    let server = tonic_prost_build::configure().build_client(false).build_transport(false);
    server.bytes(".").compile_fds(files)?;
    Ok(())
}
