//! A stand-in for EventStoreDB as a process of its own, to try `dcm serve --journal esdb://…` without a cluster: it keeps
//! everything in memory. `dcm-esdb-double [ADDRESS]`; without an address it takes a free port of loopback.
#![allow(clippy::print_stdout, reason = "its first line says where it is")]

use std::net::SocketAddr;

use dcm_esdb_double::Node;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let node = Node::start_at(address.parse::<SocketAddr>()?)?;
    println!("{}", node.url());
    loop {
        std::thread::park();
    }
}
