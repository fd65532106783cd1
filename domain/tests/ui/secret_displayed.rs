//! A secret has no text form for messages.

use dcm_domain::value::Secret;

fn main() {
    let secret = Secret::new(String::new());
    println!("{secret}");
}
