//! Moving a subcloud to another network (subclouds.md §6.4 steps 10 to 16; jobs.md §1.6, §6.1).

use dcm_domain::directory::{ConfirmSubnet, ReleaseSubnet, ReserveSubnet, SubnetReleased, SubnetReserved};
use dcm_domain::subcloud::{
    GroupMoved, InstallDataUpdated, ManagementNetwork, NetworkReconfigurationRequested, NetworkUpdated,
    RunOutcome, Subcloud, SubcloudAdded, SubcloudDescribed,
};
use dcm_domain::value::{Availability, DeployStatus as S, ManagementState as M, Phase};

use crate::directory::{ONE, TWO, both, subnet};
use crate::kit::{FACTS, Given};
use crate::run_samples::*;
use crate::samples::*;

fn in_net_0(status: S) -> Given<Subcloud> {
    built(SubcloudAdded { network: net(0), ..added() }, status)
}

#[test]
fn sc_138_it_is_reconfiguring_at_once_and_has_its_old_addresses() {
    let asked = reconfigure(RUN, net(1));
    let given = in_net_0(S::Complete).when(asked.clone()).then([
        requested(RUN, &[Phase::ReconfigureNetwork]).into(),
        NetworkReconfigurationRequested { run_id: RUN, task: asked.task }.into(),
        ran(S::Complete, S::ReconfiguringNetwork, None),
    ]);
    assert_eq!(given.state().network, net(0));
    given.when(reconfigure(OTHER_RUN, net(2))).then_rejected("run-active");
}

#[test]
fn sc_139_143_145_what_refuses_it() {
    for status in [S::Secondary, S::SecondaryFailed] {
        in_net_0(status).when(reconfigure(RUN, net(1))).then_refused_saying("Cannot perform on secondary");
    }
    in_state(M::Managed, S::Complete, Availability::Online)
        .when(reconfigure(RUN, net(1)))
        .then_rejected("reconfigure-managed");
    let held = net(0);
    let same: [(ManagementNetwork, &str); 4] = [
        (net(0), "management_subnet"),
        (
            ManagementNetwork { gateway_ip: held.gateway_ip, end_ip: net(0).end_ip, ..net(1) },
            "management_gateway_ip",
        ),
        (
            ManagementNetwork { start_ip: held.start_ip, end_ip: net(0).end_ip, ..net(1) },
            "management_start_ip",
        ),
        (ManagementNetwork { end_ip: held.end_ip, ..net(1) }, "management_end_ip"),
    ];
    for (to, field) in same {
        let text = format!("{field} already in use");
        in_net_0(S::Complete).when(reconfigure(RUN, to)).then_refused_saying(&text);
    }
}

#[test]
fn what_was_sent_along_is_stored_once_it_succeeds() {
    let mut asked = reconfigure(RUN, net(1));
    asked.task.description = Some("moved".to_owned());
    asked.task.group_id = Some(2);
    asked.task.install = Some(document("install"));
    let given = in_net_0(S::NetworkReconfigurationFailed).after(asked).and([claimed()]);
    let given = given.after(start(Phase::ReconfigureNetwork)).after(play(Phase::ReconfigureNetwork));
    let network =
        NetworkUpdated { network: net(1), systemcontroller_gateway_ip: added().systemcontroller_gateway_ip };
    given.when(complete(Phase::ReconfigureNetwork)).then([
        ran(S::ReconfiguringNetwork, S::Complete, None),
        network.into(),
        SubcloudDescribed { description: Some("moved".to_owned()), location: None }.into(),
        GroupMoved { from: 1, to: 2 }.into(),
        InstallDataUpdated { install: document("install") }.into(),
        finished(RunOutcome::Succeeded, None),
    ]);
}

#[test]
fn jb_048_nothing_of_it_stays_if_it_fails() {
    let given = in_net_0(S::Complete).after(reconfigure(RUN, net(1)));
    let because = Some("no worker for network-reconfiguration");
    let lost = given.clone().when(UNCLAIMED).then([
        ran(S::ReconfiguringNetwork, S::NetworkReconfigurationFailed, because),
        finished(RunOutcome::Lost, because),
    ]);
    assert_eq!(lost.state().network, net(0));
    for started in [false, true] {
        let failed = given.clone().and([claimed()]).after(fail(Phase::ReconfigureNetwork, started, "no"));
        let state = failed.state();
        assert_eq!((state.deploy, &state.network), (S::NetworkReconfigurationFailed, &net(0)));
    }
}

#[test]
fn both_subnets_are_held_until_it_is_known_which_one_it_has() {
    let reserve = |entity, net| ReserveSubnet { entity, subnet: subnet(net) };
    let reserved = SubnetReserved { entity: ONE, subnet: subnet("10.9.0.0/16"), at: FACTS.now };
    let given = both().when(reserve(ONE, "10.9.0.0/16")).then([reserved.into()]);
    assert_eq!(given.state().unsettled().count(), 1);
    for held in ["10.1.5.0/24", "10.9.5.0/24"] {
        given.clone().when(reserve(TWO, held)).then_rejected("subnet-overlaps");
    }
    given.clone().when(reserve(ONE, "10.9.0.0/16")).then_rejected("subnet-change-under-way");
    both().when(reserve(ONE, "10.2.0.0/24")).then_rejected("subnet-overlaps");
    both().when(reserve(ONE, "10.1.0.0/16")).then_nothing();
    both().when(reserve(ONE, "10.1.0.0/24")).then_accepted();

    let confirm = |net| ConfirmSubnet { entity: ONE, subnet: subnet(net) };
    let release = |net| ReleaseSubnet { entity: ONE, subnet: subnet(net) };
    given.clone().when(confirm("10.8.0.0/16")).then_nothing();
    given.clone().when(release("10.8.0.0/16")).then_nothing();
    let moved = given.clone().after(confirm("10.9.0.0/16"));
    assert_eq!(moved.state().unsettled().count(), 0);
    moved.when(reserve(TWO, "10.1.5.0/24")).then_accepted();
    let stayed = given.when(release("10.9.0.0/16")).then([SubnetReleased { entity: ONE }.into()]);
    assert_eq!(stayed.state().unsettled().count(), 0);
    stayed.when(reserve(TWO, "10.9.5.0/24")).then_accepted();
}
