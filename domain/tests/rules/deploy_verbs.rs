//! The verbs of the phased deployment: allowed states, phases, and what a request changes (subclouds.md §7.2–7.8).

use dcm_domain::subcloud::command::*;
use dcm_domain::subcloud::{
    BootstrapDataUpdated, DeployConfigUpdated, InstallDataUpdated, ManagementNetwork, NetworkUpdated,
    Rejection, SoftwareVersionChanged, Subcloud, SubcloudAdded,
};
use dcm_domain::value::{Availability, DeployStatus as S, ManagementState as M, Phase};

use crate::kit::Given;
use crate::samples::*;

const VERBS: [DeployVerb; 4] =
    [DeployVerb::Install, DeployVerb::Bootstrap, DeployVerb::Configure, DeployVerb::Resume];

/// The table of subclouds.md §7.2, written out once more.
fn allowed(verb: DeployVerb) -> &'static str {
    match verb {
        DeployVerb::Install => {
            "create-complete pre-install-failed install-failed install-complete install-aborted"
        }
        DeployVerb::Bootstrap => {
            "install-complete pre-bootstrap-failed bootstrap-failed bootstrap-aborted bootstrap-complete \
             create-complete"
        }
        DeployVerb::Configure => {
            "complete pre-config-failed config-failed bootstrap-complete config-aborted prestaging-packages \
             prestaging-images prestage-failed prestage-complete"
        }
        DeployVerb::Resume => {
            "create-complete pre-install-failed install-failed install-aborted install-complete \
             pre-bootstrap-failed bootstrap-failed bootstrap-aborted bootstrap-complete pre-config-failed \
             config-failed config-aborted"
        }
    }
}

/// Everything a deployment can need is stored.
fn full() -> SubcloudAdded {
    SubcloudAdded { install: Some(document("install")), deploy_config: Some(document("config")), ..added() }
}

fn statuses(of: &str) -> Vec<S> {
    of.split_whitespace().map(|word| S::parse(word).unwrap()).collect()
}

#[test]
fn each_verb_starts_from_its_statuses_and_from_no_other() {
    for verb in VERBS {
        let allowed = statuses(allowed(verb));
        for status in S::ALL {
            let then = built(full(), *status).when(deploy(verb));
            if allowed.contains(status) {
                let after = then.then_accepted();
                assert!(after.state().run.is_some(), "{verb:?} from {status}");
            } else {
                let refused = then.then_rejected("wrong-deploy-state");
                refused.when(deploy(verb)).then_refused_saying("must be either");
            }
        }
    }
}

#[test]
fn a_refusal_names_every_allowed_status() {
    for verb in VERBS {
        for status in statuses(allowed(verb)) {
            built(full(), S::Deploying).when(deploy(verb)).then_refused_saying(&format!("'{status}'"));
        }
    }
}

#[test]
fn availability_and_management_state_are_not_looked_at() {
    for availability in [Availability::Offline, Availability::Online] {
        for management in [M::Managed, M::Unmanaged] {
            in_state(management, S::BootstrapComplete, availability)
                .when(deploy(DeployVerb::Configure))
                .then_accepted();
        }
    }
}

#[test]
fn sc_228_install_is_preparing_at_once() {
    built(full(), S::CreateComplete)
        .when(deploy(DeployVerb::Install))
        .then([requested(RUN, &[Phase::Install]).into(), ran(S::CreateComplete, S::PreInstall, None)]);
}

#[test]
fn sc_218_bootstrap_is_preparing_at_once() {
    built(full(), S::InstallComplete)
        .when(deploy(DeployVerb::Bootstrap))
        .then([requested(RUN, &[Phase::Bootstrap]).into(), ran(S::InstallComplete, S::PreBootstrap, None)]);
}

#[test]
fn sc_224_configure_is_preparing_at_once() {
    built(full(), S::Complete)
        .when(deploy(DeployVerb::Configure))
        .then([requested(RUN, &[Phase::Configure]).into(), ran(S::Complete, S::PreConfig, None)]);
}

#[test]
fn sc_230_install_is_for_the_initial_deployment_alone() {
    let given = built(SubcloudAdded { initial_deployment: false, ..full() }, S::CreateComplete);
    given
        .when(deploy(DeployVerb::Install))
        .then_rejected("not-initial-deployment")
        .when(deploy(DeployVerb::Install))
        .then_refused_saying("only be used during initial deployment");
}

#[test]
fn bootstrap_and_configure_do_not_ask_for_the_initial_deployment() {
    let later = SubcloudAdded { initial_deployment: false, ..full() };
    built(later.clone(), S::InstallComplete).when(deploy(DeployVerb::Bootstrap)).then_accepted();
    built(later, S::Complete).when(deploy(DeployVerb::Configure)).then_accepted();
}

#[test]
fn the_deploy_state_is_looked_at_before_the_initial_deployment() {
    let given = built(SubcloudAdded { initial_deployment: false, ..full() }, S::Installing);
    for verb in [DeployVerb::Install, DeployVerb::Resume] {
        given.clone().when(deploy(verb)).then_rejected("wrong-deploy-state");
    }
}

#[test]
fn no_verb_starts_beside_an_active_run() {
    for verb in VERBS {
        let status = statuses(allowed(verb))[0];
        let between_phases = built(full(), status).and([requested(OTHER_RUN, &[Phase::Install]).into()]);
        between_phases.when(deploy(verb)).then_rejected("run-active");
    }
    built(full(), S::BootstrapComplete)
        .and([requested(OTHER_RUN, &[Phase::Complete]).into()])
        .when(CompleteDeployment)
        .then_rejected("run-active");
}

#[test]
fn sc_234_complete_needs_bootstrap_complete() {
    for status in S::ALL {
        let then = subcloud(*status).when(CompleteDeployment);
        match status {
            S::BootstrapComplete => drop(then.then([moved(S::BootstrapComplete, S::Complete)])),
            _ => {
                let refused = then.then_rejected("not-completable");
                refused.when(CompleteDeployment).then_refused_saying("can only be completed when");
            }
        }
    }
}

/// What is left to do from each resumable status (subclouds.md §7.8), with everything stored.
fn remaining(status: S) -> &'static [Phase] {
    match status {
        S::CreateComplete | S::PreInstallFailed | S::InstallFailed | S::InstallAborted => {
            &[Phase::Install, Phase::Bootstrap, Phase::Configure]
        }
        S::InstallComplete | S::PreBootstrapFailed | S::BootstrapFailed | S::BootstrapAborted => {
            &[Phase::Bootstrap, Phase::Configure]
        }
        _ => &[Phase::Configure],
    }
}

fn before(phase: Phase) -> S {
    match phase {
        Phase::Install => S::PreInstall,
        Phase::Bootstrap => S::PreBootstrap,
        _ => S::PreConfig,
    }
}

#[test]
fn sc_242_resume_goes_on_where_the_deployment_stopped() {
    for status in statuses(allowed(DeployVerb::Resume)) {
        let phases = remaining(status);
        built(full(), status)
            .when(deploy(DeployVerb::Resume))
            .then([requested(RUN, phases).into(), ran(status, before(phases[0]), None)]);
    }
}

#[test]
fn sc_239_resume_takes_what_is_sent_for_what_is_stored() {
    for status in statuses(allowed(DeployVerb::Resume)) {
        let sent = DeploySubcloud {
            details: Details { install: Some(document("install")), ..Details::default() },
            deploy_config: Some(document("config")),
            ..deploy(DeployVerb::Resume)
        };
        let after = subcloud(status).after(sent);
        assert_eq!(after.state().run.as_ref().unwrap().phases, remaining(status), "{status}");
    }
}

#[test]
fn resume_drops_install_without_install_values() {
    let given = built(SubcloudAdded { install: None, ..full() }, S::CreateComplete);
    given.when(deploy(DeployVerb::Resume)).then([
        requested(RUN, &[Phase::Bootstrap, Phase::Configure]).into(),
        ran(S::CreateComplete, S::PreBootstrap, None),
    ]);
}

#[test]
fn resume_completes_where_there_is_no_deploy_config() {
    let given = built(SubcloudAdded { deploy_config: None, ..full() }, S::InstallFailed);
    given.when(deploy(DeployVerb::Resume)).then([
        requested(RUN, &[Phase::Install, Phase::Bootstrap, Phase::Complete]).into(),
        ran(S::InstallFailed, S::PreInstall, None),
    ]);
}

#[test]
fn sc_240_resume_is_for_the_initial_deployment_alone() {
    for status in statuses(allowed(DeployVerb::Resume)) {
        built(SubcloudAdded { initial_deployment: false, ..full() }, status)
            .when(deploy(DeployVerb::Resume))
            .then_rejected("not-initial-deployment")
            .when(deploy(DeployVerb::Resume))
            .then_refused_saying("only be resumed during initial deployment");
    }
}

#[test]
fn sc_241_a_running_phase_is_not_resumed() {
    for status in [S::Installing, S::Bootstrapping, S::Configuring] {
        built(full(), status).when(deploy(DeployVerb::Resume)).then_rejected("wrong-deploy-state");
    }
}

#[test]
fn sc_243_nothing_is_resumed_if_only_an_impossible_configuration_is_left() {
    for status in [S::BootstrapComplete, S::PreConfigFailed, S::ConfigFailed, S::ConfigAborted] {
        subcloud(status)
            .when(deploy(DeployVerb::Resume))
            .then_rejected("only-configure-left")
            .when(deploy(DeployVerb::Resume))
            .then_refused_saying("Only deploy phase left is deploy config");
    }
}

#[test]
fn sc_244_resuming_twice_gives_the_same_answer_twice() {
    let resume_and_fail = |given: Given<Subcloud>| {
        given
            .when(deploy(DeployVerb::Resume))
            .then([
                requested(RUN, &[Phase::Bootstrap, Phase::Complete]).into(),
                ran(S::CreateComplete, S::PreBootstrap, None),
            ])
            .after(LoseRun { run_id: RUN, because: LostBecause::NoWorker })
    };
    resume_and_fail(subcloud(S::CreateComplete));
    resume_and_fail(subcloud(S::CreateComplete));
    let expected = Ok(vec![Phase::Bootstrap, Phase::Complete]);
    for _ in 0..2 {
        assert_eq!(phases(DeployVerb::Resume, S::CreateComplete, false, false), expected);
    }
    assert_eq!(phases(DeployVerb::Resume, S::ConfigFailed, true, false), Err(Rejection::OnlyConfigureLeft));
}

#[test]
fn a_whole_deployment_goes_as_far_as_its_values() {
    for (install, config, expected) in [
        (false, false, vec![Phase::Create, Phase::Bootstrap, Phase::Complete]),
        (true, false, vec![Phase::Create, Phase::Install, Phase::Bootstrap, Phase::Complete]),
        (false, true, vec![Phase::Create, Phase::Bootstrap, Phase::Configure]),
        (true, true, vec![Phase::Create, Phase::Install, Phase::Bootstrap, Phase::Configure]),
    ] {
        assert_eq!(add_phases(install, config), expected);
    }
}

#[test]
fn sc_229_install_brings_its_release_and_values_before_the_run() {
    let sent = DeploySubcloud {
        release: Some("24.03".to_owned()),
        details: Details { install: Some(document("install 2")), ..Details::default() },
        ..deploy(DeployVerb::Install)
    };
    built(full(), S::CreateComplete).when(sent).then([
        InstallDataUpdated { install: document("install 2") }.into(),
        SoftwareVersionChanged { from: "23.09".to_owned(), to: "24.03".to_owned() }.into(),
        requested(RUN, &[Phase::Install]).into(),
        ran(S::CreateComplete, S::PreInstall, None),
    ]);
}

#[test]
fn a_release_counts_only_if_it_is_installed() {
    for verb in [DeployVerb::Bootstrap, DeployVerb::Resume] {
        let sent = DeploySubcloud { release: Some("24.03".to_owned()), ..deploy(verb) };
        let after = built(full(), S::InstallComplete).after(sent);
        assert_eq!(after.state().software_version, "23.09");
    }
    let resumed = DeploySubcloud { release: Some("24.03".to_owned()), ..deploy(DeployVerb::Resume) };
    assert_eq!(built(full(), S::InstallFailed).after(resumed).state().software_version, "24.03");
}

#[test]
fn bootstrap_brings_its_values_and_addresses_before_the_run() {
    let sent = DeploySubcloud {
        bootstrap: Some(document("bootstrap 2")),
        bootstrap_address: Some("10.10.10.13".to_owned()),
        deploy_config: Some(document("config 2")),
        addresses: Some(NewAddresses {
            network: network("192.168.102.0/24"),
            systemcontroller_gateway_ip: "192.168.204.102".to_owned(),
        }),
        ..deploy(DeployVerb::Bootstrap)
    };
    built(full(), S::InstallComplete).when(sent).then([
        BootstrapDataUpdated {
            bootstrap: Some(document("bootstrap 2")),
            bootstrap_address: Some("10.10.10.13".to_owned()),
        }
        .into(),
        DeployConfigUpdated { deploy_config: document("config 2") }.into(),
        NetworkUpdated {
            network: network("192.168.102.0/24"),
            systemcontroller_gateway_ip: "192.168.204.102".to_owned(),
        }
        .into(),
        requested(RUN, &[Phase::Bootstrap]).into(),
        ran(S::InstallComplete, S::PreBootstrap, None),
    ]);
}

#[test]
fn jb_014_what_is_sent_as_it_is_stored_changes_nothing() {
    let sent = DeploySubcloud {
        release: Some("23.09".to_owned()),
        details: Details { install: Some(document("install")), ..Details::default() },
        bootstrap: Some(document("bootstrap")),
        bootstrap_address: added().bootstrap_address,
        deploy_config: Some(document("config")),
        addresses: Some(NewAddresses {
            network: network("192.168.101.0/24"),
            systemcontroller_gateway_ip: added().systemcontroller_gateway_ip,
        }),
        ..deploy(DeployVerb::Bootstrap)
    };
    built(full(), S::InstallComplete)
        .when(sent)
        .then([requested(RUN, &[Phase::Bootstrap]).into(), ran(S::InstallComplete, S::PreBootstrap, None)]);
}

#[test]
fn jb_015_to_017_one_new_address_alone_is_a_new_network() {
    let stored = network("192.168.101.0/24");
    let gateway = added().systemcontroller_gateway_ip;
    for (network, systemcontroller_gateway_ip) in [
        (network("192.168.102.0/24"), gateway.clone()),
        (ManagementNetwork { start_ip: "192.168.101.3".to_owned(), ..stored.clone() }, gateway),
        (stored, "192.168.204.102".to_owned()),
    ] {
        let addresses = NewAddresses { network, systemcontroller_gateway_ip };
        let sent = DeploySubcloud { addresses: Some(addresses.clone()), ..deploy(DeployVerb::Bootstrap) };
        let NewAddresses { network, systemcontroller_gateway_ip } = addresses;
        built(full(), S::InstallComplete).when(sent).then([
            NetworkUpdated { network, systemcontroller_gateway_ip }.into(),
            requested(RUN, &[Phase::Bootstrap]).into(),
            ran(S::InstallComplete, S::PreBootstrap, None),
        ]);
    }
}
