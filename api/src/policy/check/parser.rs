//! From text or list to a [`Check`].

use std::iter::Peekable;
use std::vec::IntoIter;

use serde_json::Value;

use super::kind::Kind;
use super::template::{Expanded, expand};
use super::token::{Token, tokens};
use super::{Check, Credential};

/// How deep parentheses and `not` may be nested in one text.
pub const MAX_NESTING: usize = 100;

/// A rule as a policy file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Definition {
    /// Text form.
    Text(String),
    /// List form: any of these, each of which is all of its texts; `None` is something that is no text.
    List(Vec<Vec<Option<String>>>),
    /// Nothing at all, which allows.
    Empty,
}

/// A value that is no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rule is a text or a list, not {0}")]
pub struct Unusable(pub &'static str);

impl TryFrom<&Value> for Definition {
    type Error = Unusable;

    /// # Errors
    /// [`Unusable`] for booleans, numbers and mappings, at the top or inside a list (access.md §6, "Errors").
    fn try_from(value: &Value) -> Result<Self, Unusable> {
        match value {
            Value::Null => Ok(Self::Empty),
            Value::String(text) => Ok(Self::Text(text.clone())),
            Value::Array(list) if list.is_empty() => Ok(Self::Empty),
            Value::Array(list) => Ok(Self::List(list.iter().map(inner).collect::<Result<_, _>>()?)),
            Value::Bool(_) => Err(Unusable("a boolean")),
            Value::Number(_) => Err(Unusable("a number")),
            Value::Object(_) => Err(Unusable("a mapping")),
        }
    }
}

fn inner(value: &Value) -> Result<Vec<Option<String>>, Unusable> {
    match value {
        Value::Null => Ok(Vec::new()),
        // An empty text is left out like an empty list.
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::String(text) => Ok(vec![Some(text.clone())]),
        Value::Array(list) => Ok(list.iter().map(|item| item.as_str().map(str::to_owned)).collect()),
        Value::Bool(_) => Err(Unusable("a boolean")),
        Value::Number(_) => Err(Unusable("a number")),
        Value::Object(_) => Err(Unusable("a mapping")),
    }
}

/// A rule, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// What it asks.
    pub check: Check,
    /// What is wrong with it, for the log; each denies, in part or as a whole.
    pub remarks: Vec<String>,
}

/// Reads a rule. What cannot be read denies (access.md §6).
pub fn parse(definition: &Definition) -> Parsed {
    let mut remarks = Vec::new();
    let check = match definition {
        Definition::Empty => Check::Always,
        Definition::Text(text) => parse_text(text, &mut remarks),
        Definition::List(list) => parse_list(list, &mut remarks),
    };
    Parsed { check, remarks }
}

fn parse_list(list: &[Vec<Option<String>>], remarks: &mut Vec<String>) -> Check {
    let mut all = |texts: &Vec<Option<String>>| {
        let checks = texts.iter().map(|text| match text {
            Some(text) => check(text, remarks),
            None => not_understood("a value that is no text", remarks),
        });
        Check::All(checks.collect())
    };
    Check::Any(list.iter().filter(|texts| !texts.is_empty()).map(&mut all).collect())
}

fn parse_text(text: &str, remarks: &mut Vec<String>) -> Check {
    if text.is_empty() {
        return Check::Always;
    }
    let tokens = tokens(text, remarks);
    // A single word that is no check passes for a rule, and fails when it is asked.
    if let [Token::Open | Token::Close | Token::And | Token::Or | Token::Not | Token::Quoted] = tokens[..] {
        remarks.push(format!("{text:?} is no check"));
        return Check::Faulty(format!("{text:?} is no check"));
    }
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), nesting: 0 };
    match parser.any().and_then(|check| parser.end(check)) {
        Ok(check) => check,
        Err(Refused::Unparsable) => not_understood(&format!("{text:?}"), remarks),
        Err(Refused::TooDeep) => {
            remarks.push(format!("it is nested deeper than {MAX_NESTING}"));
            Check::Faulty("nested too deeply".to_owned())
        }
    }
}

enum Refused {
    Unparsable,
    TooDeep,
}

/// `any = all ("or" all)*`, `all = one ("and" one)*`, `one = "not" one | "(" any ")" | check`.
struct Parser {
    tokens: Peekable<IntoIter<Token>>,
    nesting: usize,
}

impl Parser {
    fn any(&mut self) -> Result<Check, Refused> {
        self.joined(&Token::Or, Self::all, Check::Any)
    }

    fn all(&mut self) -> Result<Check, Refused> {
        self.joined(&Token::And, Self::one, Check::All)
    }

    fn joined(
        &mut self,
        word: &Token,
        part: fn(&mut Self) -> Result<Check, Refused>,
        join: fn(Vec<Check>) -> Check,
    ) -> Result<Check, Refused> {
        let first = part(self)?;
        if self.tokens.peek() != Some(word) {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.tokens.next_if_eq(word).is_some() {
            parts.push(part(self)?);
        }
        Ok(join(parts))
    }

    fn one(&mut self) -> Result<Check, Refused> {
        match self.tokens.next() {
            Some(Token::Check(check)) => Ok(check),
            Some(Token::Not) => Ok(Check::Not(Box::new(self.nested(Self::one)?))),
            Some(Token::Open) => {
                let check = self.nested(Self::any)?;
                self.tokens.next_if_eq(&Token::Close).map(|_| check).ok_or(Refused::Unparsable)
            }
            _ => Err(Refused::Unparsable),
        }
    }

    fn nested(&mut self, part: fn(&mut Self) -> Result<Check, Refused>) -> Result<Check, Refused> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(Refused::TooDeep);
        }
        let check = part(self)?;
        self.nesting -= 1;
        Ok(check)
    }

    fn end(&mut self, check: Check) -> Result<Check, Refused> {
        self.tokens.peek().map_or(Ok(check), |_| Err(Refused::Unparsable))
    }
}

fn not_understood(what: &str, remarks: &mut Vec<String>) -> Check {
    remarks.push(format!("{what} is not understood, and denies"));
    Check::Never
}

/// Reads a single check: `@`, `!`, or `kind:match`.
pub(super) fn check(text: &str, remarks: &mut Vec<String>) -> Check {
    let (kind, value) = match text {
        "@" => return Check::Always,
        "!" => return Check::Never,
        _ => match text.split_once(':') {
            Some(split) => split,
            None => return not_understood(&format!("{text:?}"), remarks),
        },
    };
    let check = match kind {
        "rule" => Check::Rule(value.to_owned()),
        "role" => expanded(value, Check::Role),
        // Without a target there is no URL to ask, rather than a denial that `not` would turn round.
        "http" | "https" => match expand(text) {
            Expanded::Text(url) => Check::Remote(url),
            Expanded::Missing => Check::Faulty(format!("{text:?} needs a target")),
            Expanded::Faulty => Check::Faulty(format!("{text:?} has a placeholder that cannot be filled")),
        },
        _ => expanded(value, |value| generic(kind, value)),
    };
    if let Check::Faulty(why) = &check {
        remarks.push(format!("{why}, and denies"));
    }
    check
}

fn expanded(value: &str, check: impl FnOnce(String) -> Check) -> Check {
    match expand(value) {
        Expanded::Text(value) => check(value),
        Expanded::Missing => Check::Never,
        Expanded::Faulty => Check::Faulty(format!("{value:?} has a placeholder that cannot be filled")),
    }
}

fn generic(kind: &str, value: String) -> Check {
    let decided = |allows| if allows { Check::Always } else { Check::Never };
    match Kind::of(kind) {
        Kind::Literal(text) => decided(text == value),
        Kind::Credential(Credential::ProjectName) => Check::Is(Credential::ProjectName, value),
        Kind::Credential(Credential::Roles) => Check::Is(Credential::Roles, value),
        Kind::Inside(credential) => Check::Inside(credential),
        Kind::Unknown => Check::Never,
        Kind::Faulty => Check::Faulty(format!("{kind:?} is neither a literal nor a credential")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn role(name: &str) -> Check {
        Check::Role(name.to_owned())
    }

    fn text(text: &str) -> Check {
        parse(&Definition::Text(text.to_owned())).check
    }

    fn list(value: &Value) -> Result<Check, Unusable> {
        Definition::try_from(value).map(|definition| parse(&definition).check)
    }

    #[test]
    fn not_binds_closer_than_and_and_that_closer_than_or() {
        let not = |check| Check::Not(Box::new(check));
        assert_eq!(
            text("role:a or not role:b and role:c"),
            Check::Any(vec![role("a"), Check::All(vec![not(role("b")), role("c")])])
        );
        assert_eq!(
            text("(role:a OR role:b) And role:c"),
            Check::All(vec![Check::Any(vec![role("a"), role("b")]), role("c")])
        );
        assert_eq!(text("not not role:a"), not(not(role("a"))));
    }

    #[test]
    fn what_cannot_be_read_denies_and_is_remarked_upon() {
        for wrong in
            ["garbage", "role:admin and", "(role:a", "role:a)", "()", " ", "role:a role:b", "and role:a"]
        {
            let parsed = parse(&Definition::Text(wrong.to_owned()));
            assert_eq!(parsed.check, Check::Never, "{wrong}");
            assert!(!parsed.remarks.is_empty(), "{wrong}");
        }
        for wrong in ["'x':'x'", "and", "(", ")", "a b:%"] {
            let parsed = parse(&Definition::Text(wrong.to_owned()));
            assert!(matches!(parsed.check, Check::Faulty(_) | Check::Never), "{wrong}");
            assert!(!parsed.remarks.is_empty(), "{wrong}");
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |depth| format!("{}role:a{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(text(&nested(MAX_NESTING)), role("a"));
        assert!(matches!(text(&nested(MAX_NESTING + 1)), Check::Faulty(_)));
        assert!(matches!(text(&format!("{} role:a", "not ".repeat(100_000))), Check::Faulty(_)));
    }

    #[test]
    fn lists_are_any_of_all() {
        assert_eq!(list(&json!([])), Ok(Check::Always));
        assert_eq!(list(&json!(null)), Ok(Check::Always));
        assert_eq!(list(&json!([[]])), Ok(Check::Any(vec![])));
        assert_eq!(list(&json!([""])), Ok(Check::Any(vec![])));
        let expected =
            Check::Any(vec![Check::All(vec![role("a b")]), Check::All(vec![role("c"), Check::Never])]);
        assert_eq!(list(&json!(["role:a b", ["role:c", 7]])), Ok(expected));
        for wrong in [json!(true), json!(false), json!(0), json!({}), json!([1]), json!([{"a": "b"}])] {
            assert!(list(&wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(rule in "([ ()!@'\"%:.a-c]|and |or |not |role:|rule:|True|\\PC){0,40}") {
            text(&rule);
            check(&rule, &mut Vec::new());
        }
    }
}
