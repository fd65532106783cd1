//! From rules and a caller to a decision.

use std::collections::HashMap;

use super::{Check, Credential};

/// The rule that answers for every one that is not there.
const DEFAULT: &str = "default";
/// How many checks and rules may stand inside one another while a decision is made.
pub const MAX_DEPTH: usize = 400;

/// What policies know of a caller (access.md §4).
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// Name of the project the caller works in.
    pub project_name: Option<&'a str>,
    /// Names of the caller's roles.
    pub roles: &'a [String],
}

/// What remote checks answered, by URL.
pub type Answers = HashMap<String, bool>;

/// Why no decision was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// None can be made: denied.
    Fault(Fault),
    /// The answer of this URL is needed; then the question can be asked again.
    Ask(String),
}

/// What is wrong with the rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A rule needs its own answer.
    #[error("rule {rule} refers to itself")]
    Cycle {
        /// The rule.
        rule: String,
    },
    /// Checks stand inside one another too deeply.
    #[error("the rules are nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// A check that cannot be decided.
    #[error("{0}")]
    Faulty(String),
}

/// Rules by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSet {
    checks: Vec<Check>,
    names: HashMap<String, usize>,
}

impl RuleSet {
    /// These rules; of two with one name, the later.
    pub fn new(rules: impl IntoIterator<Item = (String, Check)>) -> Self {
        let mut set = Self::default();
        for (name, check) in rules {
            set.names.insert(name, set.checks.len());
            set.checks.push(check);
        }
        set
    }

    /// Whether `name` is allowed to a caller with `credentials`. A rule that is not there is the rule `default`, or denies.
    ///
    /// # Errors
    /// [`Stop`] if it cannot be decided, or not before a remote check is answered.
    pub fn decide(&self, name: &str, credentials: Credentials<'_>, answers: &Answers) -> Result<bool, Stop> {
        let known = vec![Known::Nothing; self.checks.len()];
        Decision { set: self, credentials, answers, known, depth: 0 }.rule(name)
    }

    /// Names that rules refer to although there is no such rule, with the rule that does so.
    pub fn dangling(&self) -> Vec<(&str, &str)> {
        let mut names: Vec<_> = self.names.iter().collect();
        names.sort();
        let mut dangling = Vec::new();
        for (name, index) in names {
            let Some(check) = self.checks.get(*index) else { continue };
            references(check, &mut |reference| {
                if !self.names.contains_key(reference) {
                    dangling.push((name.as_str(), reference));
                }
            });
        }
        dangling
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.names.get(name).or_else(|| self.names.get(DEFAULT)).copied()
    }
}

fn references<'c>(check: &'c Check, found: &mut impl FnMut(&'c str)) {
    match check {
        Check::Rule(name) => found(name),
        Check::Not(check) => references(check, found),
        Check::All(checks) | Check::Any(checks) => checks.iter().for_each(|check| references(check, found)),
        _ => {}
    }
}

/// What is known of a rule while a decision is made. Each is decided once, so that rules which refer to one another many
/// times cost no more than their length.
#[derive(Clone, Copy)]
enum Known {
    Nothing,
    Asked,
    Answer(bool),
}

struct Decision<'a> {
    set: &'a RuleSet,
    credentials: Credentials<'a>,
    answers: &'a Answers,
    known: Vec<Known>,
    depth: usize,
}

impl Decision<'_> {
    fn rule(&mut self, name: &str) -> Result<bool, Stop> {
        let set = self.set;
        let Some(index) = set.index(name) else { return Ok(false) };
        match self.known[index] {
            Known::Answer(answer) => return Ok(answer),
            Known::Asked => return Err(Stop::Fault(Fault::Cycle { rule: name.to_owned() })),
            Known::Nothing => self.known[index] = Known::Asked,
        }
        let answer = self.check(&set.checks[index])?;
        self.known[index] = Known::Answer(answer);
        Ok(answer)
    }

    fn check(&mut self, check: &Check) -> Result<bool, Stop> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Stop::Fault(Fault::TooDeep));
        }
        let answer = self.undeep(check)?;
        self.depth -= 1;
        Ok(answer)
    }

    fn undeep(&mut self, check: &Check) -> Result<bool, Stop> {
        match check {
            Check::Always => Ok(true),
            Check::Never => Ok(false),
            Check::Not(check) => Ok(!self.check(check)?),
            Check::All(checks) => {
                for check in checks {
                    if !self.check(check)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Check::Any(checks) => {
                for check in checks {
                    if self.check(check)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Check::Rule(name) => self.rule(name),
            Check::Role(role) => Ok(self.credentials.roles.iter().any(|held| is_same_role(held, role))),
            Check::Is(Credential::ProjectName, value) => {
                Ok(self.credentials.project_name.unwrap_or("None") == value)
            }
            Check::Is(Credential::Roles, value) => Ok(self.credentials.roles.contains(value)),
            // Without a role there is nothing to look into.
            Check::Inside(Credential::Roles) if self.credentials.roles.is_empty() => Ok(false),
            Check::Inside(_) => Err(faulty("a credential has nothing inside")),
            Check::Remote(url) => self.answers.get(url).copied().ok_or_else(|| Stop::Ask(url.clone())),
            Check::Faulty(why) => Err(faulty(why)),
        }
    }
}

fn faulty(why: &str) -> Stop {
    Stop::Fault(Fault::Faulty(why.to_owned()))
}

fn is_same_role(held: &str, asked: &str) -> bool {
    match held.is_ascii() && asked.is_ascii() {
        true => held.eq_ignore_ascii_case(asked),
        false => held.to_lowercase() == asked.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parser::{Definition, parse};
    use super::*;

    fn set(rules: &[(&str, &str)]) -> RuleSet {
        let read = |text: &str| parse(&Definition::Text(text.to_owned())).check;
        RuleSet::new(rules.iter().map(|(name, text)| ((*name).to_owned(), read(text))))
    }

    fn asked(set: &RuleSet, rule: &str) -> Result<bool, Stop> {
        let roles = ["admin".to_owned()];
        set.decide(rule, Credentials { project_name: None, roles: &roles }, &Answers::new())
    }

    #[test]
    fn rules_that_refer_to_themselves_deny_whatever_stands_around_them() {
        let set = set(&[
            ("a", "rule:a"),
            ("b", "not rule:c"),
            ("c", "rule:d or @"),
            ("d", "not rule:b"),
            ("e", "@ or rule:e"),
            ("f", "role:x or not rule:a or @"),
        ]);
        for cyclic in ["a", "b", "c", "d", "f"] {
            assert!(matches!(asked(&set, cyclic), Err(Stop::Fault(Fault::Cycle { .. }))), "{cyclic}");
        }
        assert_eq!(asked(&set, "e"), Ok(true));
    }

    #[test]
    fn rules_that_refer_to_others_many_times_are_decided_once() {
        let names: Vec<_> = (0..200).map(|n| format!("r{n}")).collect();
        let texts: Vec<_> = (1..201).map(|n| format!("rule:r{n} and rule:r{n} and rule:r{n}")).collect();
        let mut rules: Vec<_> =
            names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
        rules.push(("r200", "@"));
        assert!(asked(&set(&rules[100..]), "r100").is_ok());
        assert_eq!(asked(&set(&rules), "r50"), Ok(true));
        assert_eq!(asked(&set(&rules), "r0"), Err(Stop::Fault(Fault::TooDeep)));
    }

    #[test]
    fn rules_that_are_not_there() {
        let without = set(&[("a", "rule:b"), ("c", "not rule:a:b")]);
        assert_eq!(asked(&without, "a"), Ok(false));
        assert_eq!(asked(&without, "c"), Ok(true));
        assert_eq!(asked(&without, "nosuch"), Ok(false));
        assert_eq!(without.dangling(), [("a", "b"), ("c", "a:b")]);
        let with = set(&[("a", "rule:b"), ("default", "role:ADMIN")]);
        assert_eq!(asked(&with, "a"), Ok(true));
        assert_eq!(asked(&with, "nosuch"), Ok(true));
        let circular = set(&[("default", "rule:b")]);
        assert!(matches!(asked(&circular, "a"), Err(Stop::Fault(Fault::Cycle { .. }))));
    }

    #[test]
    fn remote_checks_are_asked_when_they_matter() {
        let set = set(&[("a", "role:admin or http://one/"), ("b", "http://one/ and https://two/x?y=%%")]);
        assert_eq!(asked(&set, "a"), Ok(true));
        assert_eq!(asked(&set, "b"), Err(Stop::Ask("http://one/".to_owned())));
        let nobody = Credentials { project_name: None, roles: &[] };
        let answers = Answers::from([("http://one/".to_owned(), true)]);
        assert_eq!(set.decide("a", nobody, &answers), Ok(true));
        assert_eq!(set.decide("b", nobody, &answers), Err(Stop::Ask("https://two/x?y=%".to_owned())));
        let refused = Answers::from([("http://one/".to_owned(), false)]);
        assert_eq!(set.decide("b", nobody, &refused), Ok(false));
    }
}
