//! Creation, by the cases of fleet.md §16.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};

use super::samples::*;
use super::*;
use crate::subcloud::SkippedCheck;
use crate::value::{BackupStatus, DeployStatus, Endpoint, SyncStatus};

#[test]
fn fl_108_one_at_a_time_even_while_deleting() {
    let state = after(None, &create(patch(), vec![subcloud(1)])).unwrap();
    let again = create(kubernetes(), vec![subcloud(1)]);
    assert_eq!(after(Some(&state), &again), Err(Rejection::Exists(StrategyType::Patch)));
    let deleting = after(None, &create(patch(), Vec::new())).unwrap();
    assert_eq!(after(Some(&deleting), &again), Err(Rejection::Exists(StrategyType::Patch)));
}

#[test]
fn fl_109_steps_of_managed_online_out_of_sync_subclouds_by_id() {
    let all = vec![subcloud(5), subcloud(1), unmanaged(subcloud(2)), offline(subcloud(3))];
    let strategy = created(&create(patch(), all)).unwrap();
    assert_eq!((strategy.id, strategy.state, strategy.apply_type), (1, StrategyState::Initial, None));
    assert_eq!((strategy.max_parallel_subclouds, strategy.stop_on_failure), (2, false));
    let steps: Vec<_> = strategy.steps.iter().map(|step| (step.id, step.subcloud_id, step.stage)).collect();
    assert_eq!(steps, [(1, 1, 1), (2, 5, 1)]);
    assert!(strategy.steps.iter().all(|step| step.state.is_initial() && step.details.is_empty()));
}

#[test]
fn fl_110_serial_means_one() {
    let mut command = create(patch(), vec![subcloud(1)]);
    command.request.apply_type = Some(ApplyType::Serial);
    command.request.max_parallel_subclouds = Some(7);
    assert_eq!(created(&command).unwrap().max_parallel_subclouds, 1);
    command.request.apply_type = Some(ApplyType::Parallel);
    assert_eq!(created(&command).unwrap().max_parallel_subclouds, 7);
}

#[test]
fn fl_111_jb_136_137_a_group_selects_and_says_how_many() {
    let member = Candidate { group_id: 4, ..subcloud(2) };
    let mut command = create(patch(), vec![subcloud(1), member]);
    command.request.scope =
        Scope::Group { id: 4, apply_type: Some(ApplyType::Parallel), max_parallel_subclouds: 3 };
    let strategy = created(&command).unwrap();
    assert_eq!(strategy.max_parallel_subclouds, 3);
    assert_eq!(strategy.apply_type, Some(ApplyType::Parallel));
    assert_eq!(chosen(&command).unwrap(), [2]);

    command.candidates.push(unmanaged(Candidate { group_id: 4, ..subcloud(3) }));
    command.request.scope =
        Scope::Group { id: 4, apply_type: Some(ApplyType::Serial), max_parallel_subclouds: 3 };
    let strategy = created(&command).unwrap();
    assert_eq!((strategy.apply_type, strategy.max_parallel_subclouds), (Some(ApplyType::Serial), 1));
    let [step] = strategy.steps.as_slice() else { panic!("136: {:?}", strategy.steps) };
    assert_eq!((step.subcloud_id, step.state.is_initial(), step.details.as_str()), (2, true, ""));

    let mut upgrade = create(Work::Upgrade, vec![subcloud(9), subcloud(8)]);
    upgrade.request.scope =
        Scope::Group { id: 1, apply_type: Some(ApplyType::Parallel), max_parallel_subclouds: 2 };
    let strategy = created(&upgrade).unwrap();
    assert_eq!((strategy.apply_type, strategy.max_parallel_subclouds), (Some(ApplyType::Parallel), 2));
    assert_eq!(chosen(&upgrade).unwrap(), [8, 9], "137: in the order of their ids");
}

#[test]
fn jb_138_to_140_the_request_says_how_many_and_the_fleet_which() {
    let mut all: Vec<Candidate> = (1..=7).map(|id| Candidate { group_id: id, ..subcloud(id) }).collect();
    all[1] = unmanaged(subcloud(2));
    all[3] = with(subcloud(4), SyncStatus::InSync);
    let mut command = create(patch(), all);
    for (given, max, expected) in [
        (Some(ApplyType::Parallel), Some(2), 2),
        (Some(ApplyType::Serial), Some(2), 1),
        (None, Some(5), 5),
        (None, None, 2),
    ] {
        command.request.apply_type = given;
        command.request.max_parallel_subclouds = max;
        let strategy = created(&command).unwrap();
        assert_eq!((strategy.apply_type, strategy.max_parallel_subclouds), (given, expected));
        assert_eq!(chosen(&command).unwrap(), [1, 3, 5, 6, 7]);
    }
}

#[test]
fn fl_112_jb_135_without_steps_it_is_on_its_way_out() {
    assert_eq!(created(&create(patch(), Vec::new())).unwrap().state, StrategyState::Deleting);
    let state = after(None, &create(patch(), vec![with(subcloud(1), SyncStatus::InSync)])).unwrap();
    let strategy = state.current.unwrap();
    assert_eq!((strategy.state, strategy.steps.len()), (StrategyState::Deleting, 0));
}

#[test]
fn fl_113_jb_141_jb_145_an_unknown_status_forbids_it_even_by_force() {
    let unknown = with(subcloud(2), SyncStatus::Unknown);
    for work in [patch(), Work::Firmware, kubernetes(), Work::Upgrade, Work::KubeRootca(RootCa::default())] {
        let endpoint = work.kind().endpoint().unwrap();
        let command = forced(create(work, vec![subcloud(1), unknown.clone()]));
        let name = unknown.name.clone();
        assert_eq!(created(&command), Err(Rejection::UnknownSyncStatus { name, endpoint }));
        assert_eq!(chosen(&for_cloud(command.clone(), "subcloud1")).unwrap(), [1]);
    }
    let others = vec![subcloud(1), offline(unknown.clone()), unmanaged(unknown.clone())];
    assert_eq!(chosen(&create(patch(), others)).unwrap(), [1]);
    assert_eq!(chosen(&create(prestage(), vec![unknown])).unwrap(), [2]);
}

#[test]
fn fl_114_jb_142_143_144_146_only_a_forced_upgrade_takes_offline_subclouds() {
    let away = offline(subcloud(1));
    for work in [Work::Upgrade, patch()] {
        assert_eq!(chosen(&create(work, vec![away.clone()])).unwrap(), [0_i64; 0]);
    }
    let forced_upgrade = |candidate| forced(for_cloud(create(Work::Upgrade, vec![candidate]), "subcloud1"));
    assert_eq!(chosen(&forced_upgrade(away.clone())).unwrap(), [1]);
    assert_eq!(chosen(&forced_upgrade(with(away.clone(), SyncStatus::Unknown))).unwrap(), [1]);
    let name = away.name.clone();
    assert_eq!(
        created(&forced_upgrade(with(away.clone(), SyncStatus::InSync))),
        Err(Rejection::AlreadyInSync { name, endpoint: Endpoint::Load })
    );
    assert_eq!(chosen(&forced(create(patch(), vec![away]))).unwrap(), [0_i64; 0]);
}

#[test]
fn fl_115_kubernetes_by_force() {
    let in_sync = vec![with(subcloud(1), SyncStatus::InSync)];
    assert_eq!(chosen(&create(kubernetes(), in_sync.clone())).unwrap(), [0_i64; 0]);
    assert_eq!(chosen(&forced(create(kubernetes(), in_sync.clone()))).unwrap(), [1]);
    let named = for_cloud(create(kubernetes(), in_sync), "subcloud1");
    assert!(matches!(created(&named), Err(Rejection::AlreadyInSync { .. })));
    assert_eq!(chosen(&forced(named)).unwrap(), [1]);
}

#[test]
fn fl_116_a_cloud_in_sync_is_refused() {
    let in_sync = || vec![with(subcloud(1), SyncStatus::InSync)];
    for work in [patch(), Work::Firmware, Work::Upgrade] {
        for command in [create(work.clone(), in_sync()), forced(create(work, in_sync()))] {
            let refused = created(&for_cloud(command, "subcloud1"));
            assert!(matches!(refused, Err(Rejection::AlreadyInSync { .. })));
        }
    }
}

#[test]
fn fl_117_jb_147_an_unknown_cloud_is_refused() {
    let unknown = Err(Rejection::UnknownSubcloud("nosuch".to_owned()));
    for work in [patch(), prestage()] {
        assert_eq!(created(&for_cloud(create(work, vec![subcloud(1)]), "nosuch")), unknown);
    }
    let controller = for_cloud(create(patch(), vec![subcloud(1)]), "SystemController");
    assert_eq!(created(&controller).unwrap().state, StrategyState::Deleting);
}

#[test]
fn fl_118_119_root_ca_arguments() {
    let command = |subject: &str, date: &str| {
        let arguments =
            RootCa { subject: Some(subject.to_owned()), expiry_date: Some(date.to_owned()), cert_file: None };
        create(Work::KubeRootca(arguments), vec![subcloud(1)])
    };
    assert!(matches!(created(&command("CN=k", "2020-01-01")), Err(Rejection::RootCa(_))));
    assert!(matches!(created(&command("X=1", "2030-01-01")), Err(Rejection::RootCa(_))));
    let strategy = created(&command("C=US CN=k", "2030-01-01")).unwrap();
    assert_eq!(
        strategy.extra_args,
        json!({"expiry-date": "2030-01-01", "subject": "C=US CN=k", "cert-file": null})
    );
    assert_eq!(strategy.cert_file(), None);
}

#[test]
fn fl_120_jb_149_prestage_checks_before_any_subcloud() {
    let with_password = |password| create(Work::Prestage { password }, vec![subcloud(1)]);
    assert_eq!(created(&with_password(GivenPassword::Missing)), Err(Rejection::PasswordRequired));
    assert_eq!(created(&with_password(GivenPassword::Undecodable)), Err(Rejection::PasswordUndecodable));
    let mut upgrading = with_password(GivenPassword::Missing);
    upgrading.platform.upgrading = Asked::Known(true);
    assert_eq!(created(&upgrading), Err(Rejection::UpgradeInProgress));
    upgrading.platform.upgrading = Asked::Failed("gone".to_owned());
    assert_eq!(created(&upgrading), Err(Rejection::PlatformFailed("gone".to_owned())));
}

#[test]
fn fl_120_what_nothing_can_answer_is_skipped_and_recorded() {
    let mut command = create(prestage(), vec![subcloud(1)]);
    let missing = || "no platform inventory is configured".to_owned();
    command.platform.upgrading = Asked::NotConfigured(missing());
    command.platform.loads = Asked::NotConfigured(missing());
    command.request.release = Some("21.12".to_owned());
    let StrategyEvent::StrategyCreated(event) =
        crate::aggregate::Command::decide(&command, None, &facts()).unwrap().remove(0)
    else {
        panic!("the first event creates");
    };
    let check = |check: &str| SkippedCheck { check: check.to_owned(), reason: missing() };
    assert_eq!(
        event.skipped_checks,
        [check("platform upgrade in progress"), check("release among the loads")]
    );
    assert_eq!(event.sysadmin_password, Some(crate::value::SecretRef(uuid::Uuid::from_u128(9))));
    let shown = json!({"sysadmin_password": "***", "force": false, "prestage-software-version": "21.12"});
    assert_eq!(event.extra_args.to_string(), shown.to_string());
}

#[test]
fn fl_121_prestage_takes_whatever_is_managed_and_online() {
    let all = vec![subcloud(1), offline(subcloud(2)), unmanaged(subcloud(3))];
    assert_eq!(chosen(&create(prestage(), all)).unwrap(), [1]);
    let busy = Candidate { deploy: DeployStatus::Installing, ..subcloud(1) };
    assert_eq!(chosen(&create(prestage(), vec![busy])).unwrap(), [1], "skipped later (F-Q14)");
}

#[test]
fn jb_148_a_prestage_does_not_ask_for_the_load() {
    let mut without = subcloud(2);
    without.endpoints.remove(&Endpoint::Load);
    let all = vec![
        with(subcloud(1), SyncStatus::InSync),
        without,
        subcloud(3),
        with(subcloud(4), SyncStatus::Unknown),
    ];
    assert_eq!(chosen(&create(prestage(), all)).unwrap(), [1, 2, 3, 4]);
}

#[test]
fn jb_149_a_named_cloud_must_be_fit_for_a_prestage() {
    let refusal = |candidate: Candidate, release: Option<&str>| {
        let mut command = for_cloud(create(prestage(), vec![candidate]), "subcloud1");
        command.request.release = release.map(str::to_owned);
        command.platform.loads = Asked::Known(vec!["23.09".to_owned()]);
        match created(&command) {
            Ok(_) => None,
            Err(Rejection::NotPrestageable { reason, .. }) => Some(reason),
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(refusal(subcloud(1), None), None);
    assert_eq!(refusal(unmanaged(offline(subcloud(1))), None), Some("it is not online"));
    assert_eq!(refusal(unmanaged(subcloud(1)), None), Some("it is not managed"));
    let backed_up = Candidate { backup: Some(BackupStatus::BackingUp), ..subcloud(1) };
    assert_eq!(refusal(backed_up, None), Some("a backup of it is in progress"));
    let done = Candidate { backup: Some(BackupStatus::Failed), ..subcloud(1) };
    assert_eq!(refusal(done, None), None);
    let busy = Candidate { deploy: DeployStatus::Installing, ..subcloud(1) };
    assert_eq!(refusal(busy, None), Some("its deployment is not complete"));
    let again = Candidate { deploy: DeployStatus::PrestageFailed, ..subcloud(1) };
    assert_eq!(refusal(again, Some("22.12")), None);
    assert_eq!(refusal(subcloud(1), Some("23.09")), None);
    assert!(refusal(subcloud(1), Some("21.12")).unwrap().contains("loads"));
}

#[test]
fn extra_args_per_type() {
    let args = |work| created(&create(work, vec![subcloud(1)])).unwrap().extra_args;
    assert_eq!(args(Work::Patch { upload_only: true }), json!({"upload-only": true}));
    assert_eq!(args(kubernetes()), json!({"to-version": null}));
    assert_eq!((args(Work::Firmware), args(Work::Upgrade)), (Value::Null, Value::Null));
    let file = RootCa { cert_file: Some("/certs/ca.pem".to_owned()), ..RootCa::default() };
    let strategy = created(&create(Work::KubeRootca(file), vec![subcloud(1)])).unwrap();
    assert_eq!(strategy.cert_file(), Some("/certs/ca.pem"));
}

#[test]
fn loads_that_cannot_be_read_matter_only_with_a_release() {
    let mut command = create(patch(), vec![subcloud(1)]);
    command.platform.loads = Asked::Failed("gone".to_owned());
    assert_eq!(chosen(&command).unwrap(), [1]);
    command.request.release = Some("22.12".to_owned());
    assert_eq!(created(&command), Err(Rejection::PlatformFailed("gone".to_owned())));
}

#[test]
fn thousands_of_steps_are_many_small_events() {
    let command = create(patch(), (1..=2001).map(subcloud).collect());
    let events = crate::aggregate::Command::decide(&command, None, &facts()).unwrap();
    assert_eq!(events.len(), 6);
    assert!(events.iter().all(|event| serde_json::to_string(event).unwrap().len() < 100_000));
    assert_eq!(created(&command).unwrap().steps.last().unwrap().id, 2001);
    assert!(serde_json::to_string(&command).unwrap().len() < 1000, "candidates are not recorded");
}
