//! Makes the client of the EventStoreDB protocol out of `proto/`, without `protoc`. The server's side goes into a directory
//! of its own, from which only the tests compile it.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(["streams.proto", "gossip.proto"], ["proto"])?;
    let server = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?).join("server");
    std::fs::create_dir_all(&server)?;
    let configured = || tonic_prost_build::configure().build_transport(false).bytes(".");
    configured().build_server(false).compile_fds(files.clone())?;
    configured().build_client(false).out_dir(&server).compile_fds(files)?;
    Ok(())
}
