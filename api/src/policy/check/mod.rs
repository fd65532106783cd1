//! The check-string language of policies (access.md §6), as oslo.policy 3.5 reads it: from text or list to a [`Check`],
//! and from there to a decision. Pure: nothing here reads a file or asks a server.
//!
//! The target of an operation is always empty (access.md §5), so that everything about a check but the caller is known
//! when it is read: placeholders, literals and names that no credential has are decided then.
//!
//! Where oslo.policy raises an exception in the middle of a decision, the decision here is a [`Fault`], which denies
//! whatever stands around it. What stands before the colon is a Python expression there; those with brackets, bytes,
//! complex numbers or comments, which nobody writes, are faults here too, so that they deny.

mod eval;
mod kind;
mod number;
mod parser;
mod quoted;
mod template;
mod token;

pub use eval::{Answers, Credentials, Fault, MAX_DEPTH, RuleSet, Stop};
pub use parser::{Definition, MAX_NESTING, Parsed, Unusable, parse};

/// What a rule asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Allow.
    Always,
    /// Deny.
    Never,
    /// The opposite.
    Not(Box<Check>),
    /// All of them; none allows.
    All(Vec<Check>),
    /// Any of them; none denies.
    Any(Vec<Check>),
    /// What the rule of this name says.
    Rule(String),
    /// The caller has this role, in any letter case.
    Role(String),
    /// This credential has this text as its value.
    Is(Credential, String),
    /// Something inside a credential that has no inside.
    Inside(Credential),
    /// The server at this URL says so.
    Remote(String),
    /// No decision can be made; why not.
    Faulty(String),
}

/// What is known of a caller (access.md §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Name of the project; a caller without one has the value `None`.
    ProjectName,
    /// Names of the roles; any of them may match.
    Roles,
}

impl Credential {
    /// The credential of that name.
    fn named(name: &str) -> Option<Self> {
        match name {
            "project_name" => Some(Self::ProjectName),
            "roles" => Some(Self::Roles),
            _ => None,
        }
    }
}
