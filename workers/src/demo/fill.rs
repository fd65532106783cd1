//! Fills a journal with the demo fleet, through ordinary commands (design.md §10).
//!
//! Ids follow from each subcloud's region, those of its commands included, so its history tells how far an earlier fill
//! came: the next one goes on there, and whatever was done to the subcloud after its fill is left alone.
//!
//! To be run before a deploy worker starts: each demo subcloud has a deployment run like any other, which the worker
//! would take for itself.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use dcm_domain::directory::{Directory, Rejection as DirectoryRejection};
use dcm_domain::group::DEFAULT_GROUP_ID;
use dcm_domain::subcloud::command::{
    AddSubcloud, CompletePhase, ManageSubcloud, RecordStep, ReportAvailability, ReportEndpoint, StartPhase,
};
use dcm_domain::subcloud::{
    DeployRunRequested, ManagementNetwork, Rejection, RunInputs, StepOutcome, SubcloudAdded,
};
use dcm_domain::value::{
    Actor, Availability, Endpoint, InvalidName, InvalidSubnet, Name, Phase, Region, Subnet, SyncStatus,
};
use dcm_journal::fleet::{Claim, Fleet, FleetError};
use dcm_journal::repository::{Meta, Unavailable, derived_id};
use dcm_journal::store::{Journal, ReadError};
use dcm_schemas::StreamId;
use futures::{StreamExt, TryStreamExt};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{DemoSubcloud, FleetTooLarge, fleet as demo_fleet};

/// Subclouds worked on at once: enough for their appends to share the journal's flushes.
const AT_ONCE: usize = 32;
/// More events than one fill writes to one subcloud: what came after it need not be read.
const FILL_EVENTS: usize = 64;
/// Who claims the runs.
const WORKER: &str = "demo";
const PHASES: [Phase; 3] = [Phase::Create, Phase::Bootstrap, Phase::Complete];

/// What to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FillSettings {
    /// How many subclouds.
    pub count: u32,
    /// The release they run, such as `24.09`.
    pub software_version: String,
    /// The gateway on the controller's side, an address of its management network.
    pub systemcontroller_gateway_ip: IpAddr,
}

/// What a fill did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filled {
    /// Subclouds that were added or completed.
    pub filled: usize,
    /// Subclouds that had been filled before.
    pub found: usize,
    /// Subclouds that somebody else changed before they were filled, and that stay as they are.
    pub left: usize,
}

/// Why the fleet is not filled in. What was written by then is completed by the next fill.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// There are not so many networks.
    #[error(transparent)]
    TooLarge(#[from] FleetTooLarge),
    /// A subcloud that is none of the demo's holds what one of the demo's needs; nothing was written.
    #[error(
        "the demo fleet does not fit into this journal: the {what} of {name} is that of {holder}, another subcloud"
    )]
    Taken {
        /// The demo subcloud.
        name: String,
        /// `name`, `region` or `network`.
        what: &'static str,
        /// The name of the other one.
        holder: Name,
    },
    /// The directory refused a demo subcloud that fitted in before.
    #[error("demo subcloud {name}: {rejection}")]
    Refused {
        /// The demo subcloud.
        name: String,
        /// Why.
        rejection: DirectoryRejection,
    },
    /// A demo name or region is none: a defect of the demo.
    #[error("demo fleet: {0}")]
    Name(#[from] InvalidName),
    /// A demo network is none: a defect of the demo.
    #[error("demo fleet: {0}")]
    Subnet(#[from] InvalidSubnet),
    /// The journal could not be read or written.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// It was stopped.
    #[error("the fill was stopped; the next one goes on")]
    Stopped,
}

impl From<ReadError> for FillError {
    fn from(error: ReadError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Brings every subcloud of the demo fleet to managed, online, `complete` and in-sync, if it is not, or was not once.
/// `fleet` is the one over `journal`. May be repeated and interrupted at will.
///
/// # Errors
/// [`FillError`].
pub async fn fill(
    fleet: &Fleet,
    journal: &Arc<dyn Journal>,
    settings: &FillSettings,
    stop: &CancellationToken,
) -> Result<Filled, FillError> {
    let wanted = demo_fleet(settings.count)?.into_iter().map(Demo::new).collect::<Result<Vec<_>, _>>()?;
    fleet.ensure_default_group(&Meta::new(Actor::system(WORKER))).await?;
    let progress: Vec<Progress> = futures::stream::iter(&wanted)
        .map(|demo| demo.progress(journal))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let directory = fleet.directory().await?;
    let missing = wanted.iter().zip(&progress).filter(|(_, progress)| **progress == Progress::At(0));
    check_room(&wanted, missing.map(|(demo, _)| demo), &directory)?;
    let filler = Filler { fleet, settings, stop };
    futures::stream::iter(wanted.iter().zip(progress))
        .map(|(demo, progress)| filler.complete(demo, progress))
        .buffer_unordered(AT_ONCE)
        .try_fold(Filled::default(), async |sum, one| Ok(sum.plus(one)))
        .await
}

impl Filled {
    fn plus(self, other: Self) -> Self {
        Self {
            filled: self.filled + other.filled,
            found: self.found + other.found,
            left: self.left + other.left,
        }
    }
}

/// One demo subcloud, its ids included.
struct Demo {
    plan: DemoSubcloud,
    name: Name,
    region: Region,
    subnet: Subnet,
    entity: Uuid,
    run_id: Uuid,
}

/// How far an earlier fill came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The next step is the one with this index; 0 if there is nothing yet.
    At(usize),
    /// The stream was closed before it began.
    Closed,
}

impl Demo {
    fn new(plan: DemoSubcloud) -> Result<Self, FillError> {
        let id = |what: &str| derived_id(&[b"demo", plan.region.as_bytes(), what.as_bytes()]);
        Ok(Self {
            name: Name::parse(&plan.name)?,
            region: Region::parse(&plan.region)?,
            subnet: Subnet::parse(&plan.management_subnet)?,
            entity: id("subcloud"),
            run_id: id("run"),
            plan,
        })
    }

    /// Reads how far it is from the commands its first events belong to.
    async fn progress(&self, journal: &Arc<dyn Journal>) -> Result<Progress, FillError> {
        let stream = StreamId::aggregate("subcloud", self.entity);
        let events = journal.read_stream(&stream, 0, FILL_EVENTS).await?;
        let done: HashSet<Uuid> = events.iter().map(|event| event.envelope.command_id).collect();
        let last = steps().iter().rposition(|step| done.contains(&self.meta(*step).command_id));
        Ok(match last {
            Some(last) => Progress::At(last + 1),
            None if events.is_empty() => Progress::At(0),
            None => Progress::Closed,
        })
    }

    /// The command id of a step follows from region and step: repeated, it is the same command.
    fn meta(&self, step: Step) -> Meta {
        let label = format!("{step:?}");
        let id = |what: &str| derived_id(&[b"demo", self.plan.region.as_bytes(), what.as_bytes()]);
        Meta { correlation_id: id("fill"), command_id: id(&label), ..Meta::new(Actor::system(WORKER)) }
    }

    fn added(&self, id: i64, settings: &FillSettings) -> AddSubcloud {
        AddSubcloud {
            subcloud: SubcloudAdded {
                id,
                name: self.name.clone(),
                region: self.region.clone(),
                description: None,
                location: None,
                software_version: settings.software_version.clone(),
                network: ManagementNetwork {
                    subnet: self.plan.management_subnet.clone(),
                    start_ip: self.plan.management_start_ip.to_string(),
                    end_ip: self.plan.management_end_ip.to_string(),
                    gateway_ip: self.plan.management_gateway_ip.to_string(),
                },
                systemcontroller_gateway_ip: settings.systemcontroller_gateway_ip.to_string(),
                group_id: DEFAULT_GROUP_ID,
                install: None,
                bootstrap: None,
                bootstrap_address: None,
                deploy_config: None,
                initial_deployment: true,
            },
            run: DeployRunRequested {
                run_id: self.run_id,
                phases: PHASES.to_vec(),
                inputs: RunInputs::default(),
            },
            claimed_by: Some(WORKER.to_owned()),
        }
    }
}

/// One ordinary command. Its name in the code is part of its command id: a renamed step would be carried out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Add,
    Start(Phase),
    /// There is no host to run a playbook on, and the history says so.
    SkipPlaybook,
    Complete(Phase),
    Online,
    Manage,
    InSync(Endpoint),
}

fn steps() -> Vec<Step> {
    let deployed = [
        Step::Add,
        Step::Start(Phase::Create),
        Step::Complete(Phase::Create),
        Step::Start(Phase::Bootstrap),
        Step::SkipPlaybook,
        Step::Complete(Phase::Bootstrap),
        Step::Complete(Phase::Complete),
        Step::Online,
        Step::Manage,
    ];
    deployed.into_iter().chain(Endpoint::DEFAULT.map(Step::InSync)).collect()
}

/// Refuses to begin if what a missing subcloud needs is held by one that is none of the demo's, or that moved.
fn check_room<'a>(
    wanted: &[Demo],
    missing: impl Iterator<Item = &'a Demo>,
    directory: &Directory,
) -> Result<(), FillError> {
    let at_home: HashSet<(Uuid, &Subnet)> = wanted.iter().map(|demo| (demo.entity, &demo.subnet)).collect();
    let strangers: Vec<_> = directory
        .entries()
        .filter(|(entity, entry)| {
            entry.subnet.as_ref().is_none_or(|subnet| !at_home.contains(&(*entity, subnet)))
        })
        .collect();
    for demo in missing {
        let other = |holder: Option<Uuid>| holder.filter(|holder| *holder != demo.entity);
        let network = strangers
            .iter()
            .find(|(entity, entry)| {
                *entity != demo.entity
                    && entry.subnet.as_ref().is_some_and(|subnet| subnet.overlaps(&demo.subnet))
            })
            .map(|(entity, _)| *entity);
        let held = [
            ("name", other(directory.by_name(&demo.name))),
            ("region", other(directory.by_region(&demo.region))),
            ("network", network),
        ];
        for (what, holder) in held {
            if let Some(holder) = holder.and_then(|entity| directory.entry(entity)) {
                let (name, holder) = (demo.plan.name.clone(), holder.name.clone());
                return Err(FillError::Taken { name, what, holder });
            }
        }
    }
    Ok(())
}

/// Carries out the steps that are missing.
struct Filler<'a> {
    fleet: &'a Fleet,
    settings: &'a FillSettings,
    stop: &'a CancellationToken,
}

impl Filler<'_> {
    async fn complete(&self, demo: &Demo, progress: Progress) -> Result<Filled, FillError> {
        let steps = steps();
        let next = match progress {
            Progress::At(next) if next == steps.len() => return Ok(Filled { found: 1, ..Filled::default() }),
            Progress::At(next) => next,
            Progress::Closed => return Ok(left(demo, &Rejection::AlreadyExists)),
        };
        for step in steps.into_iter().skip(next) {
            if self.stop.is_cancelled() {
                return Err(FillError::Stopped);
            }
            match self.take(demo, step).await {
                Ok(()) => {}
                Err(FleetError::Subcloud(rejection)) => return Ok(left(demo, &rejection)),
                Err(FleetError::IdReused) => return Ok(left(demo, &FleetError::IdReused)),
                Err(FleetError::Directory(rejection)) => {
                    return Err(FillError::Refused { name: demo.plan.name.clone(), rejection });
                }
                Err(FleetError::Unavailable(error)) => return Err(error.into()),
            }
        }
        Ok(Filled { filled: 1, ..Filled::default() })
    }

    async fn take(&self, demo: &Demo, step: Step) -> Result<(), FleetError> {
        let Self { fleet, settings, .. } = self;
        let Demo { entity, run_id, .. } = *demo;
        let meta = demo.meta(step);
        let done = match step {
            Step::Add => {
                let claim = Claim {
                    entity,
                    name: demo.name.clone(),
                    region: demo.region.clone(),
                    subnet: demo.subnet.clone(),
                    group_id: DEFAULT_GROUP_ID,
                };
                fleet.add(claim, &meta, |id| demo.added(id, settings)).await
            }
            Step::Start(phase) => fleet.run(entity, &StartPhase { run_id, phase }, &meta).await,
            Step::SkipPlaybook => fleet.run(entity, &skipped_playbook(run_id), &meta).await,
            Step::Complete(phase) => fleet.run(entity, &CompletePhase { run_id, phase }, &meta).await,
            Step::Online => fleet.run(entity, &ReportAvailability { to: Availability::Online }, &meta).await,
            Step::Manage => fleet.run(entity, &ManageSubcloud::default(), &meta).await,
            Step::InSync(endpoint) => {
                let report = ReportEndpoint { endpoint, status: SyncStatus::InSync, seen: None };
                fleet.run(entity, &report, &meta).await
            }
        };
        done.map(drop)
    }
}

fn skipped_playbook(run_id: Uuid) -> RecordStep {
    let reason = "a demo subcloud has no host".to_owned();
    let outcome = StepOutcome::Skipped { reason };
    RecordStep { run_id, phase: Phase::Bootstrap, step: "playbook".to_owned(), outcome }
}

fn left(demo: &Demo, why: &dyn std::fmt::Display) -> Filled {
    tracing::warn!(name = demo.plan.name, %why, "demo subcloud was changed before it was filled in; left as it is");
    Filled { left: 1, ..Filled::default() }
}
