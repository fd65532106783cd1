//! Deploying a subcloud again (subclouds.md §6.5; jobs.md §1.3).

use dcm_domain::subcloud::command::*;
use dcm_domain::subcloud::{
    BootstrapDataUpdated, DeployConfigUpdated, InstallDataUpdated, NetworkUpdated, RunOutcome,
    SoftwareVersionChanged, Subcloud, SubcloudAdded,
};
use dcm_domain::value::{Availability, DeployStatus as S, ManagementState as M, Phase};

use crate::kit::Given;
use crate::run_samples::*;
use crate::samples::*;

const PHASES: [Phase; 3] = [Phase::Install, Phase::Bootstrap, Phase::Complete];

/// With install values.
fn installable(status: S) -> Given<Subcloud> {
    built(SubcloudAdded { install: Some(document("install")), ..added() }, status)
}

#[test]
fn sc_187_everything_that_is_stored_is_deployed_again() {
    for status in S::ALL.iter().copied().filter(|status| !status.is_secondary()) {
        let started = (status != S::PreInstall).then(|| ran(status, S::PreInstall, None));
        let asked = requested(RUN, &PHASES).into();
        installable(status).when(redeploy(RUN)).then([asked].into_iter().chain(started));
    }
}

#[test]
fn sc_186_what_is_sent_replaces_what_is_stored() {
    let addresses = NewAddresses { network: net(7), systemcontroller_gateway_ip: "192.168.204.9".to_owned() };
    let command = RedeploySubcloud {
        release: "22.12".to_owned(),
        details: Details { install: Some(document("new install")), ..Details::default() },
        bootstrap: Some(document("new bootstrap")),
        bootstrap_address: Some("10.10.10.99".to_owned()),
        deploy_config: Some(document("config")),
        addresses: Some(addresses.clone()),
        ..redeploy(RUN)
    };
    let NewAddresses { network, systemcontroller_gateway_ip } = addresses;
    subcloud(S::Complete).when(command).then([
        InstallDataUpdated { install: document("new install") }.into(),
        SoftwareVersionChanged { from: "23.09".to_owned(), to: "22.12".to_owned() }.into(),
        BootstrapDataUpdated {
            bootstrap: Some(document("new bootstrap")),
            bootstrap_address: Some("10.10.10.99".to_owned()),
        }
        .into(),
        DeployConfigUpdated { deploy_config: document("config") }.into(),
        NetworkUpdated { network, systemcontroller_gateway_ip }.into(),
        requested(RUN, &[Phase::Install, Phase::Bootstrap, Phase::Configure]).into(),
        ran(S::Complete, S::PreInstall, None),
    ]);
}

#[test]
fn sc_190_191_194_what_is_in_use_or_a_copy_is_not_deployed_again() {
    let in_state = |management, availability| in_state(management, S::Complete, availability);
    in_state(M::Unmanaged, Availability::Online).when(redeploy(RUN)).then_rejected("not-redeployable");
    in_state(M::Managed, Availability::Offline).when(redeploy(RUN)).then_rejected("not-redeployable");
    for status in [S::Secondary, S::SecondaryFailed] {
        installable(status).when(redeploy(RUN)).then_rejected("secondary-state");
    }
    subcloud(S::Complete).when(redeploy(RUN)).then_rejected("install-values-missing");
    installable(S::Complete).after(redeploy(RUN)).when(redeploy(OTHER_RUN)).then_rejected("run-active");
}

#[test]
fn a_redeployment_is_an_initial_deployment_and_can_be_aborted() {
    let elsewhere =
        SubcloudAdded { install: Some(document("install")), initial_deployment: false, ..added() };
    let given = built(elsewhere, S::Complete).after(redeploy(RUN)).and([claimed()]);
    assert!(given.state().initial_deployment && !given.state().first_identity_sync_complete);
    let given = given.after(start(Phase::Install)).after(play(Phase::Install)).after(AbortDeployment);
    given.after(abort_phase(Phase::Install)).when(deploy(DeployVerb::Resume)).then_accepted();
}

#[test]
fn a_redeployment_ends_complete_or_where_it_failed() {
    let mut given = installable(S::RehomePending).after(redeploy(RUN)).and([claimed()]);
    for phase in PHASES {
        given = given.after(start(phase)).after(play(phase)).after(complete(phase));
    }
    assert_eq!((given.state().deploy, given.state().run.is_some()), (S::Complete, false));
    let because = Some("no worker for deploy");
    installable(S::Complete)
        .after(redeploy(RUN))
        .when(UNCLAIMED)
        .then([ran(S::PreInstall, S::PreInstallFailed, because), finished(RunOutcome::Lost, because)]);
}
