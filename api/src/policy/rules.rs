//! The rules in force: the built-in ones, and what an operator's files say instead (access.md §5, §7).

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::check::{Check, Definition, RuleSet, parse};
use super::file::FileRule;
use super::rule;
use super::sources::{Source, SourceError};

/// Where a rule comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is built in.
    Default,
    /// This file says so.
    File(PathBuf),
}

/// A rule in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it says, as it is written; a list as JSON.
    pub text: String,
    /// Who says so.
    pub origin: Origin,
    /// What is wrong with it; it denies then, in part or as a whole.
    pub remarks: Vec<String>,
}

/// Every rule in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    files: Vec<PathBuf>,
    entries: BTreeMap<String, Entry>,
    set: RuleSet,
}

impl Rules {
    /// The built-in rules alone.
    pub(super) fn built_in() -> Self {
        Self::merged(Vec::new())
    }

    /// The built-in rules, and those of `sources` in their place; a later source goes before an earlier one.
    ///
    /// # Errors
    /// [`SourceError`] names the file that is no policy.
    pub(super) fn load(sources: &[Source]) -> Result<Self, SourceError> {
        let files = sources.iter().map(|source| Ok((source.path.clone(), source.rules()?)));
        Ok(Self::merged(files.collect::<Result<_, SourceError>>()?))
    }

    fn merged(files: Vec<(PathBuf, Vec<FileRule>)>) -> Self {
        let defaults = rule::BASE.iter().chain(rule::ALL).map(|(name, text)| {
            let definition = Definition::Text((*text).to_owned());
            (Origin::Default, FileRule { name: (*name).to_owned(), definition, text: (*text).to_owned() })
        });
        let paths = files.iter().map(|(path, _)| path.clone()).collect();
        let overrides = files
            .into_iter()
            .flat_map(|(path, rules)| rules.into_iter().map(move |rule| (Origin::File(path.clone()), rule)));
        let mut checks = BTreeMap::<String, Check>::new();
        let mut entries = BTreeMap::new();
        for (origin, FileRule { name, definition, text }) in defaults.chain(overrides) {
            let parsed = parse(&definition);
            checks.insert(name.clone(), parsed.check);
            entries.insert(name, Entry { text, origin, remarks: parsed.remarks });
        }
        let set = RuleSet::new(checks);
        for (name, missing) in set.dangling() {
            if let Some(entry) = entries.get_mut(name) {
                entry.remarks.push(format!("there is no rule {missing:?}"));
            }
        }
        Self { files: paths, entries, set }
    }

    /// The files they come from, in the order in which their rules replace one another.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Every rule by name.
    pub fn entries(&self) -> &BTreeMap<String, Entry> {
        &self.entries
    }

    /// What decides.
    pub(super) fn set(&self) -> &RuleSet {
        &self.set
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::super::check::{Answers, Credentials};
    use super::*;

    fn loaded(files: &[(&str, &str)]) -> Rules {
        let source =
            |(path, text): &(&str, &str)| Source { path: PathBuf::from(path), text: (*text).to_owned() };
        Rules::load(&files.iter().map(source).collect::<Vec<_>>()).unwrap()
    }

    fn allows(rules: &Rules, rule: &str, roles: &[&str], project: Option<&str>) -> bool {
        let roles: Vec<_> = roles.iter().map(|role| (*role).to_owned()).collect();
        let credentials = Credentials { project_name: project, roles: &roles };
        rules.set().decide(rule, credentials, &Answers::new()).unwrap_or(false)
    }

    /// The columns of the table in access.md §6.
    const CALLERS: [(&[&str], Option<&str>); 4] = [
        (&["admin", "member", "reader"], Some("admin")),
        (&["reader"], Some("admin")),
        (&["member"], Some("demo")),
        (&["reader"], None),
    ];

    #[test]
    fn ac_60_each_row_of_the_table() {
        let (yes, no) = ([true; 4], [false; 4]);
        let rows: &[(&[&str], [bool; 4])] = &[
            (&[r#""""#, r#""@""#, "null", "[]"], yes),
            (&[r#""!""#, "[[]]", r#""garbage""#, r#""role:admin and""#], no),
            (&[r#""not role:admin""#], [false, true, true, true]),
            (&[r#""role:MEMBER""#], [true, false, true, false]),
            (&[r#""role:nosuch or role:reader and project_name:admin""#], [true, true, false, false]),
            (&[r#""(role:nosuch or role:reader) and project_name:demo""#], no),
            (&[r#""role:member AND NOT role:admin""#], [false, false, true, false]),
            (&[r#""not (role:admin or role:reader)""#], [false, false, true, false]),
            (&[r#"[["role:nosuch"],["role:member","project_name:demo"]]"#], [false, false, true, false]),
            (&[r#"["role:reader"]"#, r#""roles:reader""#], [true, true, false, true]),
            (&[r#""project_name:admin or project_name:demo""#], [true, true, true, false]),
            (&[r#""project_name:None""#], [false, false, false, true]),
            (&[r#""rule:admin_in_system_projects""#], [true, false, false, false]),
            (&[r#""rule:undefined_thing""#], no),
            (&[r#""True:True""#, r#""None:None""#, r#""'admin':admin""#], yes),
            (
                &[
                    r#""is_admin:True""#,
                    r#""user_id:%(user_id)s""#,
                    r#""project_name:%(project_name)s""#,
                    r#""role:%(x)s""#,
                    r#""role:a:b""#,
                ],
                no,
            ),
            // The errors below the table.
            (&[r#""'x':'x'""#, r#""rule:dc_api:alarm_manager:get""#], no),
        ];
        let row = |rules: &Rules| {
            CALLERS.map(|(roles, project)| allows(rules, "dc_api:alarm_manager:get", roles, project))
        };
        assert_eq!(row(&Rules::built_in()), [true, true, false, false]);
        for (texts, expected) in rows {
            for text in *texts {
                let file = format!(r#"{{"dc_api:alarm_manager:get": {text}}}"#);
                assert_eq!(row(&loaded(&[("p", &file)])), *expected, "{text}");
            }
        }
        let file = r#"{"dc_api:alarm_manager:get": "rule:undefined_thing", "default": "@"}"#;
        assert_eq!(row(&loaded(&[("p", file)])), yes);
    }

    #[test]
    fn ac_57_to_59_64_67_68_overrides_reach_what_they_name() {
        let member = |rules: &Rules, rule: &str| allows(rules, rule, &["member"], Some("demo"));
        let reader = |rules: &Rules, rule: &str| allows(rules, rule, &["reader"], Some("admin"));
        let one = loaded(&[("p", "dc_api:subcloud_groups:get: role:member")]);
        assert!(member(&one, "dc_api:subcloud_groups:get") && !reader(&one, "dc_api:subcloud_groups:get"));
        assert!(!member(&one, "dc_api:alarm_manager:get") && reader(&one, "dc_api:alarm_manager:get"));

        let base = loaded(&[("p", "reader_in_system_projects: role:member")]);
        for (name, text) in rule::ALL {
            assert_eq!(member(&base, name), *text == rule::READER, "{name}");
        }
        let mine = loaded(&[("p", "mine: role:member\ndc_api:subclouds:create: rule:mine")]);
        assert!(member(&mine, "dc_api:subclouds:create"));

        let both = loaded(&[
            ("p", "dc_api:alarm_manager:get: '@'\n'x': '!'"),
            ("d/1", "dc_api:alarm_manager:get: '!'"),
        ]);
        assert!(!reader(&both, "dc_api:alarm_manager:get"));
        assert_eq!(both.entries()["dc_api:alarm_manager:get"].origin, Origin::File(PathBuf::from("d/1")));
        assert_eq!(both.entries()["x"].origin, Origin::File(PathBuf::from("p")));
        assert_eq!(both.entries()["dc_api:subclouds:get"].origin, Origin::Default);
    }

    #[test]
    fn ac_62_63_69_defaults_stay_where_nothing_is_said() {
        let built_in = Rules::built_in();
        assert_eq!(built_in.entries().len(), rule::ALL.len() + 2);
        assert!(built_in.entries().values().all(|entry| entry.remarks.is_empty()));
        assert_eq!(loaded(&[("p", "")]).entries(), built_in.entries());
        let unknown = loaded(&[("p", "dcmanager:add_subcloud: '@'")]);
        for (name, _) in rule::ALL {
            for (roles, project) in CALLERS {
                assert_eq!(allows(&unknown, name, roles, project), allows(&built_in, name, roles, project));
            }
        }
    }

    #[test]
    fn what_is_wrong_with_a_rule_is_said() {
        let rules = loaded(&[("p", "a: garbage\nb: rule:nosuch\nc: '@'")]);
        let remarks = |name: &str| rules.entries()[name].remarks.join("; ");
        assert!(remarks("a").contains("garbage"));
        assert!(remarks("b").contains("nosuch"));
        assert_eq!(remarks("c"), "");
    }
}
