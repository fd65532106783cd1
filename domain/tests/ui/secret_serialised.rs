//! An event that holds a secret cannot be written.

use dcm_domain::value::Secret;

#[derive(serde::Serialize)]
struct InstallRequested {
    bmc_password: Secret,
}

fn main() {}
