//! Values nobody should send, and some that travel badly: they are stored and read back as they are, or refused.

use dcm_domain::subcloud::command::{Details, FailPhase, UpdateSubcloud};
use dcm_domain::subcloud::{Document, Subcloud, SubcloudAdded, SubcloudEvent};
use dcm_domain::value::{DeployStatus as S, Name, Phase, Region, SecretRef, Subnet};
use serde_json::json;
use uuid::Uuid;

use crate::kit::given;
use crate::samples::*;

/// Texts that mean something to a file system, a shell, a host pattern, a template, a bus, SQL or a terminal.
const HOSTILE: [&str; 22] = [
    "",
    " ",
    ".",
    "..",
    "../../etc/passwd",
    "/absolute",
    ".hidden",
    "-e",
    "--limit=all",
    "a/b",
    "a\\b",
    "a\0b",
    "a\nb",
    "a\rb",
    "\u{1b}[2J",
    "\u{202e}live",
    "{{ lookup('pipe', 'id') }}",
    "all:!edge",
    "edge*",
    "edge>",
    "'; drop table subclouds; --",
    "\u{ff0e}\u{ff0e}",
];

#[test]
fn no_hostile_text_becomes_a_name_or_a_region() {
    for text in HOSTILE {
        assert!(Name::parse(text).is_err(), "{text:?} as a name");
        assert!(Name::parse_rename(text).is_err(), "{text:?} as a new name");
        // A region may begin with a dot or a hyphen (decisions.md, Names); it is encoded wherever that matters.
        let word = text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        let plain = word && !matches!(text, "" | "." | "..");
        assert_eq!(Region::parse(text).is_ok(), plain, "{text:?} as a region");
        assert!(Subnet::parse(text).is_err(), "{text:?} as a subnet");
    }
}

#[test]
fn sc_170_a_rename_takes_host_names_alone() {
    for text in ["New1", "a_b", "-a", "a-", "a..b", ".a", "a.", "a b"] {
        assert!(Name::parse_rename(text).is_err(), "{text:?}");
    }
    for text in ["newname.example", "a", "0", "a-b.c-d"] {
        assert!(Name::parse_rename(text).is_ok(), "{text:?}");
    }
}

#[test]
fn names_of_255_characters_are_the_longest() {
    assert!(Name::parse(&"a".repeat(255)).is_ok() && Region::parse(&"a".repeat(255)).is_ok());
    assert!(Name::parse(&"a".repeat(256)).is_err() && Region::parse(&"a".repeat(256)).is_err());
    assert!(Name::parse_rename(&"a".repeat(256)).is_err());
    assert!(Name::parse(&"\u{e9}".repeat(255)).is_err());
}

#[test]
fn hostile_texts_are_kept_as_they_are_through_storage() {
    for text in HOSTILE {
        let details = Details {
            description: Some(text.to_owned()),
            location: Some(text.repeat(100)),
            ..Details::default()
        };
        let events: Vec<SubcloudEvent> = [added().into()]
            .into_iter()
            .chain(decide(&subcloud(S::NotDeployed), &UpdateSubcloud { details }))
            .collect();
        let state = stored(&events).unwrap();
        assert_eq!(state.description.as_deref(), Some(text));
        assert_eq!(state.location, Some(text.repeat(100)));
    }
}

fn decide(given: &crate::kit::Given<Subcloud>, command: &UpdateSubcloud) -> Vec<SubcloudEvent> {
    use dcm_domain::aggregate::Command;
    command.decide(Some(given.state()), &crate::kit::FACTS).unwrap()
}

#[test]
fn a_hostile_error_text_is_kept_but_for_what_no_database_takes() {
    for text in HOSTILE {
        let failed = FailPhase { run_id: RUN, phase: Phase::Create, started: true, error: text.to_owned() };
        let after = running(&[Phase::Create], S::Creating).after(failed);
        assert_eq!(after.state().error_description, text.replace('\0', ""));
    }
}

#[test]
fn odd_documents_and_numbers_survive_storage() {
    let odd = Document {
        secret: SecretRef(Uuid::max()),
        digest: "\u{0}\u{ffff}".to_owned(),
        shown: json!({"": [[[{}]]], "big": u64::MAX, "small": i64::MIN, "real": 0.1, "text": "\u{0}\"\\"}),
    };
    let odd = SubcloudAdded {
        id: i64::MAX,
        group_id: i64::MIN,
        install: Some(odd.clone()),
        bootstrap: Some(odd.clone()),
        deploy_config: Some(odd),
        ..added()
    };
    let event = SubcloudEvent::from(odd.clone());
    assert_eq!(stored(std::slice::from_ref(&event)).as_ref(), Some(given::<Subcloud>([event]).state()));
}

#[test]
fn a_stored_name_that_todays_rules_refuse_still_folds() {
    let mut stored = serde_json::to_value(SubcloudEvent::from(added())).unwrap();
    stored["data"]["name"] = json!("../old name");
    stored["data"]["region"] = json!("old region");
    let event: SubcloudEvent = serde_json::from_value(stored).unwrap();
    assert_eq!(given::<Subcloud>([event]).state().name.as_ref(), "../old name");
}
