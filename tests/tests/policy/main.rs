//! The policy evaluator beside the real oslo.policy: the same questions, the same answers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod command;
mod generator;

use std::cell::{Cell, RefCell};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use dcm_api::policy::check::{Answers, Credentials, Definition, RuleSet, parse};
use dcm_tests::oslo_policy_python;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::Value;

/// Questions asked, unless `DCM_TEST_POLICY_CASES` says otherwise.
const CASES: u32 = 8_000;

/// A process with the real oslo.policy in it. It ends with its standard input.
struct Oracle {
    process: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Oracle {
    fn start() -> Self {
        let mut process = Command::new(oslo_policy_python())
            .args(["-c", include_str!("oracle.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("oslo.policy's Python starts");
        let questions = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, questions, answers }
    }

    fn allows(&mut self, question: &Value) -> bool {
        let questions = self.questions.as_mut().unwrap();
        writeln!(questions, "{question}").and_then(|()| questions.flush()).expect("the oracle reads");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the oracle answers");
        answer.trim().parse().unwrap_or_else(|_| panic!("the oracle said {answer:?} to {question}"))
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        drop(self.questions.take());
        if let Err(error) = self.process.wait() {
            eprintln!("the oracle is not awaited: {error}");
        }
    }
}

/// What this program says; what cannot be read or decided denies.
fn allows(question: &Value) -> bool {
    let rules = question["rules"].as_object().unwrap().iter().map(|(name, rule)| {
        Ok::<_, dcm_api::policy::check::Unusable>((name.clone(), parse(&Definition::try_from(rule)?).check))
    });
    let Ok(rules) = rules.collect::<Result<Vec<_>, _>>() else { return false };
    let credentials = &question["credentials"];
    let roles: Vec<_> = credentials["roles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|role| role.as_str().unwrap().to_owned())
        .collect();
    let credentials = Credentials { project_name: credentials["project_name"].as_str(), roles: &roles };
    let rule = question["rule"].as_str().unwrap();
    RuleSet::new(rules).decide(rule, credentials, &Answers::new()).unwrap_or(false)
}

#[test]
fn generated_rules_are_decided_as_the_real_library_decides_them() {
    let cases =
        std::env::var("DCM_TEST_POLICY_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let oracle = RefCell::new(Oracle::start());
    let allowed = Cell::new(0_u32);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let result = runner.run(&generator::question(), |question| {
        let (ours, theirs) = (allows(&question), oracle.borrow_mut().allows(&question));
        allowed.set(allowed.get() + u32::from(theirs));
        match ours == theirs {
            true => Ok(()),
            false => Err(TestCaseError::fail(format!("we say {ours}, they say {theirs}: {question}"))),
        }
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    // A generator whose rules all deny would compare nothing.
    let allowed = allowed.get();
    assert!(allowed > cases / 10 && allowed < cases / 10 * 9, "{allowed} of {cases} were allowed");
}

/// The table of access.md §6 and its neighbourhood, with the columns' callers.
#[test]
fn ac_60_the_real_library_agrees_with_the_table() {
    let mut oracle = Oracle::start();
    let rules: Value = serde_json::from_str(
        r#"["", "@", null, [], "!", [[]], "garbage", "role:admin and", "not role:admin", "role:MEMBER",
            "role:nosuch or role:reader and project_name:admin",
            "(role:nosuch or role:reader) and project_name:demo", "role:member AND NOT role:admin",
            "not (role:admin or role:reader)", [["role:nosuch"], ["role:member", "project_name:demo"]],
            ["role:reader"], "roles:reader", "project_name:admin or project_name:demo", "project_name:None",
            "rule:admin_in_system_projects", "rule:undefined_thing", "True:True", "None:None", "'admin':admin",
            "is_admin:True", "user_id:%(user_id)s", "project_name:%(project_name)s", "role:%(x)s", "role:a:b",
            "'x':'x'", "rule:asked", "not rule:asked"]"#,
    )
    .unwrap();
    let callers = [
        (vec!["admin", "member", "reader"], Some("admin")),
        (vec!["reader"], Some("admin")),
        (vec!["member"], Some("demo")),
        (vec!["reader"], None),
    ];
    for rule in rules.as_array().unwrap() {
        for (roles, project) in &callers {
            let question = serde_json::json!({
                "rules": {
                    "asked": rule,
                    "admin_in_system_projects": "role:admin and (project_name:admin or project_name:services)",
                },
                "rule": "asked",
                "credentials": {"project_name": project, "roles": roles},
            });
            assert_eq!(allows(&question), oracle.allows(&question), "{question}");
        }
    }
}
