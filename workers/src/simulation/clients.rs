//! Clients of the simulated world: they add subclouds, describe them, let them be deployed and abort that, repeat what
//! was not answered, and keep account of what was.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dcm_domain::aggregate::Command;
use dcm_domain::subcloud::command::{
    AbortDeployment, AddSubcloud, Details, RedeploySubcloud, UpdateSubcloud,
};
use dcm_domain::subcloud::{
    DeployRunRequested, Document, ManagementNetwork, Rejection, RunInputs, Subcloud, SubcloudAdded,
};
use dcm_domain::value::{Actor, Name, Phase, Region, SecretRef, Subnet};
use dcm_journal::fleet::{Claim, Fleet, FleetError};
use dcm_journal::repository::Meta;
use serde_json::json;
use uuid::Uuid;

use super::dice::Dice;
use super::world::World;

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// What clients were answered, by the ids of their commands.
#[derive(Default)]
pub struct Account {
    pub acknowledged: Vec<Uuid>,
    pub refused: Vec<Uuid>,
    pub unknown: Vec<Uuid>,
}

/// The API processes, as far as they live.
pub type Apis = Mutex<Vec<Option<Arc<Fleet>>>>;

/// A client with a subcloud of its own; what is done to it also meets what other clients do.
pub struct Client {
    pub world: Arc<World>,
    pub apis: Arc<Apis>,
    pub account: Arc<Mutex<Account>>,
    pub number: u8,
    /// The subclouds of all clients.
    pub subclouds: Vec<Uuid>,
}

/// How a command was answered.
enum Answer {
    Yes,
    No,
    None,
}

impl Client {
    /// Sends commands until the world is calm.
    pub async fn run(self) {
        let mut dice = Dice::of(self.world.seed, &[77, u64::from(self.number)]);
        let entity = Uuid::from_u128(1000 + u128::from(self.number));
        let meta = meta(&mut dice);
        self.repeat(&mut dice, &meta, |fleet, meta| add(fleet, entity, self.number, meta)).await;
        let mut text = 0;
        while !self.world.is_calm() {
            tokio::time::sleep(dice.millis(20, 2_500)).await;
            let place = usize::try_from(dice.below(self.subclouds.len() as u64)).unwrap_or(0);
            let Some(entity) = self.subclouds.get(place).copied() else { continue };
            let meta = self::meta(&mut dice);
            match dice.below(8) {
                0..4 => {
                    text += 1;
                    let description = Some(format!("client {} text {text}", self.number));
                    let details = Details { description, ..Details::default() };
                    self.send(&mut dice, entity, UpdateSubcloud { details }, &meta).await;
                }
                4..7 => {
                    let run_id = Uuid::new_v8(bytes(&mut dice));
                    self.send(&mut dice, entity, redeploy(run_id), &meta).await;
                }
                _ => self.send(&mut dice, entity, AbortDeployment, &meta).await,
            }
        }
    }

    async fn send<C>(&self, dice: &mut Dice, entity: Uuid, command: C, meta: &Meta)
    where
        C: Command<Subcloud, Rejection = Rejection> + Clone,
    {
        self.repeat(dice, meta, |fleet, meta| {
            let command = command.clone();
            async move { fleet.run(entity, &command, &meta).await.map(drop) }
        })
        .await;
    }

    /// Sends a command, again and again for a while as long as there is no answer, also to another process.
    async fn repeat<F>(&self, dice: &mut Dice, meta: &Meta, send: impl Fn(Arc<Fleet>, Meta) -> F)
    where
        F: Future<Output = Result<(), FleetError>>,
    {
        let mut answer = Answer::None;
        let tries = dice.below(6);
        for attempt in 0..=tries {
            let place = usize::try_from(dice.below(2)).unwrap_or(0);
            let fleet = {
                let apis = self.apis.lock().unwrap_or_else(PoisonError::into_inner);
                apis.get(place).cloned().flatten()
            };
            let Some(fleet) = fleet else {
                tokio::time::sleep(Duration::from_millis(300)).await;
                continue;
            };
            answer = match tokio::time::timeout(PATIENCE, send(fleet, meta.clone())).await {
                Ok(Ok(())) => Answer::Yes,
                Ok(Err(FleetError::Unavailable(_))) | Err(_) => Answer::None,
                Ok(Err(error)) => {
                    self.world.note(format_args!("client {} is refused: {error}", self.number));
                    Answer::No
                }
            };
            if !matches!(answer, Answer::None) {
                break;
            }
            self.world.note(format_args!("client {} has no answer ({attempt})", self.number));
        }
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Answer::Yes => account.acknowledged.push(meta.command_id),
            Answer::No => account.refused.push(meta.command_id),
            Answer::None => account.unknown.push(meta.command_id),
        }
    }
}

fn bytes(dice: &mut Dice) -> [u8; 16] {
    let (high, low) = (dice.below(u64::MAX), dice.below(u64::MAX));
    ((u128::from(high) << 64) | u128::from(low)).to_be_bytes()
}

fn meta(dice: &mut Dice) -> Meta {
    Meta { command_id: Uuid::new_v8(bytes(dice)), ..Meta::new(Actor::system("client")) }
}

fn document(name: &str) -> Document {
    Document { secret: SecretRef(Uuid::from_u128(7)), digest: name.to_owned(), shown: json!({}) }
}

const NO_INPUTS: RunInputs = RunInputs { sysadmin_password: None, artifacts: None, rehome: None };

fn redeploy(run_id: Uuid) -> RedeploySubcloud {
    RedeploySubcloud {
        run_id,
        inputs: NO_INPUTS,
        release: "24.09".to_owned(),
        details: Details::default(),
        bootstrap: None,
        bootstrap_address: None,
        deploy_config: None,
        addresses: None,
    }
}

async fn add(fleet: Arc<Fleet>, entity: Uuid, number: u8, meta: Meta) -> Result<(), FleetError> {
    let rejected = |_| FleetError::Subcloud(Rejection::NotFound);
    let name = Name::parse(&format!("edge{number}")).map_err(|_| rejected(()))?;
    let region = Region::parse(&format!("region{number}")).map_err(|_| rejected(()))?;
    let subnet = Subnet::parse(&format!("10.0.{number}.0/24")).map_err(|_| rejected(()))?;
    let claim =
        Claim { entity, name: name.clone(), region: region.clone(), subnet: subnet.clone(), group_id: 1 };
    let run_id = Uuid::from_u128(5000 + u128::from(number));
    let phases = vec![Phase::Create, Phase::Install, Phase::Bootstrap, Phase::Complete];
    let build = |id| AddSubcloud {
        subcloud: SubcloudAdded {
            id,
            name,
            region,
            description: None,
            location: None,
            software_version: "24.09".to_owned(),
            network: ManagementNetwork {
                subnet: subnet.as_str().to_owned(),
                start_ip: format!("10.0.{number}.2"),
                end_ip: format!("10.0.{number}.50"),
                gateway_ip: format!("10.0.{number}.1"),
            },
            systemcontroller_gateway_ip: "192.168.204.101".to_owned(),
            group_id: 1,
            install: Some(document("install")),
            bootstrap: Some(document("bootstrap")),
            bootstrap_address: Some("192.168.111.12".to_owned()),
            deploy_config: None,
            initial_deployment: true,
        },
        run: DeployRunRequested { run_id, phases, inputs: NO_INPUTS },
        claimed_by: None,
    };
    fleet.add(claim, &meta, build).await.map(drop)
}
