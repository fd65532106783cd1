//! Makes the client of the EventStoreDB protocol out of `proto/`, without `protoc`. The server's side is made from the same
//! files in `tests/esdb-double`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(["streams.proto", "gossip.proto"], ["proto"])?;
    let client = tonic_prost_build::configure().build_server(false).build_transport(false);
    client.bytes(".").compile_fds(files)?;
    Ok(())
}
