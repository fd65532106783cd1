//! Starts one server of each kind, names them on standard output, and waits until its standard input ends.
//!
//! A test kills this process and checks that nothing of it is left.
#![allow(clippy::print_stdout, reason = "its output is what its caller reads")]

use dcm_tests::{Nats, Postgres};
use tokio::io::{AsyncReadExt, stdin};

#[tokio::main]
async fn main() {
    let postgres = Postgres::shared().await;
    let nats = Nats::start().await;
    let held = serde_json::json!({
        "pids": [postgres.pid(), nats.pid()],
        "directories": [postgres.dir(), nats.dir()],
    });
    println!("{held}");
    let mut rest = Vec::new();
    // An unreadable input ends the wait as well as a closed one.
    let _ = stdin().read_to_end(&mut rest).await;
}
