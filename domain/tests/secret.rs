//! Code that would show, copy or serialise a `Secret` does not compile (design.md, invariant 9).

#[test]
fn a_secret_cannot_be_serialised_cloned_or_displayed() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/secret_*.rs");
}
