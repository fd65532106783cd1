//! Where the repository and the programs are that tests start.

use std::path::{Path, PathBuf};

use rand::Rng;

/// Root of the repository, absolute.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests' crate lies in the repository")
        .to_owned()
}

/// A program named by `variable`, else the one that `tests/run` installed at `installed` under `.tools/`.
/// Panics, saying how to get it, when there is none.
pub(crate) fn tool(variable: &str, installed: &str) -> PathBuf {
    let path =
        std::env::var_os(variable).map_or_else(|| repository().join(".tools").join(installed), PathBuf::from);
    assert!(
        path.is_file(),
        "no program at {}: run `tests/run --install`, or name one in {variable}",
        path.display()
    );
    path
}

/// A loopback port that nobody listens on right now.
///
/// It is drawn from below the range that the kernel gives to outgoing connections, so that a server can be stopped
/// and started again on it. Another test may still draw the same: whoever starts a server tries again.
pub(crate) fn free_port() -> u16 {
    let mut random = rand::rng();
    for _ in 0..1000 {
        let port = random.random_range(10_000..32_000);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between 10000 and 32000 in a thousand tries")
}
