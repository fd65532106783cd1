//! A secret has one owner, which wipes it.

use dcm_domain::value::Secret;

fn main() {
    let secret = Secret::new(String::new());
    let _copy: Secret = secret.clone();
}
