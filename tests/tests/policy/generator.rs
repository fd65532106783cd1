//! Rules that are nearly right: the shapes of the language, with a slip here and there.

use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use proptest::strategy::Union;
use serde_json::{Map, Value, json};

/// Names that rules have, and that they refer to.
const NAMES: [&str; 6] = ["r0", "r1", "r2", "a:b", "and", "default"];
const ROLES: [&str; 8] = ["admin", "reader", "Member", "ÉDITEUR", "{}", "a:b", "100%", "None"];
const PROJECTS: [&str; 6] = ["admin", "demo", "services", "None", "True", "16"];
/// First halves of checks: words of the language, credentials, literals, names nobody has, and what Python does not take.
const KINDS: [&str; 60] = [
    "rule",
    "role",
    "role",
    "roles",
    "roles",
    "project_name",
    "project_name",
    "project_name",
    "Role",
    "RULE",
    "True",
    "False",
    "None",
    "'admin'",
    "\"admin\"",
    "'ad''min'",
    "r'admin'",
    "u'16'",
    "'\\x31\\66'",
    "'\\q'",
    "16",
    "0x10",
    "0b1_0000",
    "-7",
    "+7",
    "--7",
    "1.50",
    ".5",
    "1e3",
    "1e16",
    "1e-5",
    "-0",
    "-0.0",
    "1_000",
    "007",
    "00",
    "1__0",
    "16a",
    "is_admin",
    "user.id",
    "user.domain.name",
    "roles.x",
    "project_name.a.b",
    "project_name.",
    ".roles",
    "a..b",
    "user-id",
    "a,b",
    "a+1",
    "~a",
    "class",
    "a.class",
    "True.x",
    "None.None",
    "",
    "a=b",
    "a$",
    "é",
    "'open",
    "16.real",
];
const VALUES: [&str; 44] = [
    "admin",
    "admin",
    "ADMIN",
    "reader",
    "member",
    "demo",
    "services",
    "None",
    "True",
    "False",
    "16",
    "7",
    "-7",
    "1.5",
    "0.5",
    "1000.0",
    "1e+16",
    "1e-05",
    "0",
    "-0.0",
    "1000",
    "éditeur",
    "\\q",
    "a:b",
    "r0",
    "r1",
    "r2",
    "nosuch",
    "",
    "%",
    "%%",
    "100%%",
    "%s",
    "%-4s",
    "%.1s",
    "%s%s",
    "%d",
    "%(x)s",
    "%(x",
    "%()d",
    "%(a(b)c)s",
    "%5%",
    "{}",
    "a(b",
];
/// Checks of lists, which alone may hold blanks.
const BLANKS: [&str; 9] = [
    "role: admin",
    "role:a b",
    " role:admin",
    "project_name :admin",
    " True:True",
    "'a b':a b",
    "a - b:c",
    "a b:c",
    "(role:admin)",
];
/// What a slip of the hand puts anywhere.
const SLIPS: [&str; 19] = [
    " ", "  ", "(", ")", "'", "\"", ":", "%", "!", "@", ".", ",", "-", "\t", "\n", "\u{a0}", "\u{1c}",
    "not ", " and ",
];

/// Rules, the one that is asked, and a caller; as the oracle takes them.
pub fn question() -> impl Strategy<Value = Value> {
    let rules = prop::collection::btree_map(select(&NAMES[..]), definition(), 0..4);
    let asked = prop_oneof![8 => Just("asked"), 1 => select(&NAMES[..]), 1 => Just("nosuch")];
    (definition(), rules, asked, credentials()).prop_map(|(definition, rules, asked, credentials)| {
        let mut rules: Map<_, _> = rules.into_iter().map(|(name, rule)| (name.to_owned(), rule)).collect();
        rules.insert("asked".to_owned(), definition);
        json!({"rules": rules, "rule": asked, "credentials": credentials})
    })
}

fn credentials() -> impl Strategy<Value = Value> {
    let project = prop_oneof![1 => Just(None), 4 => select(&PROJECTS[..]).prop_map(Some)];
    let roles = subsequence(ROLES.to_vec(), 0..=4);
    (project, roles).prop_map(|(project, roles)| json!({"project_name": project, "roles": roles}))
}

fn definition() -> impl Strategy<Value = Value> {
    prop_oneof![12 => text().prop_map(Value::from), 3 => list(), 1 => Just(Value::Null)]
}

fn text() -> impl Strategy<Value = String> {
    let slips = prop::collection::vec((any::<Index>(), select(&SLIPS[..])), 0..=2);
    let cuts = prop::collection::vec(any::<Index>(), 0..=1);
    prop_oneof![
        8 => expression(),
        4 => (expression(), slips, cuts).prop_map(|(text, slips, cuts)| slipped(&text, &slips, &cuts)),
        1 => prop::collection::vec(prop_oneof![check(), word().prop_map(str::to_owned)], 0..6)
            .prop_map(|words| words.join(" ")),
    ]
}

fn slipped(text: &str, slips: &[(Index, &str)], cuts: &[Index]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for cut in cuts {
        if !characters.is_empty() {
            characters.remove(cut.index(characters.len()));
        }
    }
    for (place, slip) in slips {
        let place = place.index(characters.len() + 1);
        characters.splice(place..place, slip.chars());
    }
    characters.into_iter().collect()
}

fn word() -> impl Strategy<Value = &'static str> {
    select(&["and", "or", "not", "AND", "Or", "nOt", "(", ")", "((", "()", "'and'"][..])
}

fn check() -> impl Strategy<Value = String> {
    let pair = (select(&KINDS[..]), select(&VALUES[..])).prop_map(|(kind, value)| format!("{kind}:{value}"));
    let rule = select(&NAMES[..]).prop_map(|name| format!("rule:{name}"));
    let role = select(&ROLES[..]).prop_map(|name| format!("role:{name}"));
    let lone = select(&["@", "!", "garbage", "'quoted'", "'x':'x'"][..]).prop_map(str::to_owned);
    Union::new_weighted(vec![(6, pair.boxed()), (2, rule.boxed()), (3, role.boxed()), (1, lone.boxed())])
}

fn expression() -> impl Strategy<Value = String> {
    let joined = |word: &'static [&'static str], part: BoxedStrategy<String>| {
        (part.clone(), select(word), part).prop_map(|(left, word, right)| format!("{left} {word} {right}"))
    };
    check().prop_recursive(5, 24, 3, move |part| {
        let part = part.boxed();
        prop_oneof![
            joined(&["and", "and", "AND"], part.clone()),
            joined(&["or", "or", "oR"], part.clone()),
            part.clone().prop_map(|part| format!("not {part}")),
            part.clone().prop_map(|part| format!("({part})")),
            part.prop_map(|part| format!("( {part} )")),
        ]
    })
}

fn list() -> impl Strategy<Value = Value> {
    let item = prop_oneof![
        8 => check().prop_map(Value::from),
        1 => select(&BLANKS[..]).prop_map(Value::from),
        1 => select(vec![json!(""), json!(null), json!(7), json!(["role:admin"])]),
    ];
    let inner = prop_oneof![
        4 => prop::collection::vec(item, 0..3).prop_map(Value::from),
        3 => check().prop_map(Value::from),
        1 => select(vec![json!(""), json!(null)]),
    ];
    prop::collection::vec(inner, 0..4).prop_map(Value::from)
}
