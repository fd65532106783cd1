//! What must hold in every simulated world, at each step and at the end.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dcm_journal::bus::{Message, Stream};
use dcm_projections::Event;
use dcm_schemas::{Envelope, cloudevents};
use uuid::Uuid;

use super::clients::Account;
use super::truth::{COUNTS, Rows, SUBCLOUDS, Truth};
use super::world::{Node, World};
use crate::deploy::{lease_name, meta};
use crate::relay::REFILLED_TO_HEADER;

/// An event was appended by `node`.
pub fn at_append(truth: &mut Truth, node: &Node, envelope: &Envelope) {
    if envelope.r#type != "DeployRunFinished" {
        return;
    }
    let Some(run_id) = run_of(envelope) else {
        return truth.is_wrong("a run without an id ended".to_owned());
    };
    let now = node.world.now();
    let store_time = truth.store_time(now);
    // Nothing is failed while its owner lives: it has its lease, and is not the one that gives the run up.
    let declared = ["worker lost", "no worker"].map(|step| meta(run_id, step).command_id);
    let held = truth
        .leases
        .get(&lease_name(run_id))
        .filter(|row| row.holder.is_some() && row.expires_at > store_time)
        .and_then(|row| row.holder.clone());
    if declared.contains(&envelope.command_id)
        && !truth.set_back
        && let Some(holder) = held
        && claimed_by(truth, run_id) == Some(holder.id())
        && truth.living.get(&holder.pid) == Some(&true)
    {
        truth.is_wrong(format!("{now}: {} ended a run whose owner lives and holds it", node.name));
    }
    // Nor while its playbook goes on, where that can be seen.
    let goes_on = truth.playbooks.iter().any(|playbook| {
        playbook.run_id == run_id && playbook.host == node.host && playbook.started && playbook.ends_at > now
    });
    if goes_on {
        truth.is_wrong(format!("{now}: {} ended a run whose playbook goes on there", node.name));
    }
}

/// A playbook starts.
pub fn at_start(truth: &mut Truth, now: u64, place: usize) {
    let Some(this) = truth.playbooks.get(place) else { return };
    let (run_id, entity, phase, pid) = (this.run_id, this.entity, this.phase, this.pid);
    let others =
        || truth.playbooks.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, other)| other);
    let again = others().any(|other| other.started && other.run_id == run_id && other.phase == phase);
    let beside = others()
        .any(|other| other.started && other.entity == entity && other.ends_at > now && other.pid == pid);
    if again {
        truth.is_wrong(format!("{now}: a phase was played twice"));
    }
    if beside {
        truth.is_wrong(format!("{now}: two playbooks of one subcloud under one worker"));
    }
    if let Some(this) = truth.playbooks.get_mut(place) {
        this.started = true;
    }
}

/// `node` stores a message on the bus.
pub fn at_publish(truth: &mut Truth, node: &Node, stream: Stream, message: &Message) {
    // One that stood still may send what it was about to send before the bus was lost.
    if stream == Stream::Events || !node.knows_creation(truth.wipes) {
        return;
    }
    // What refilled the bus is no news, and nothing follows from it.
    let last = super::bus::of(truth, Stream::Events).kept.values().next_back();
    let refilled_to = last.and_then(|stored| stored.message.header(REFILLED_TO_HEADER)?.parse::<u64>().ok());
    let position = cloudevents::position(&message.headers).map(|position| position.order);
    if position.zip(refilled_to).is_some_and(|(order, refilled_to)| order <= refilled_to) {
        truth.is_wrong(format!("a hint follows from event {position:?}, which only refilled the bus"));
    }
}

/// A transaction of the read model `name` is about to become what is read, by `node`.
pub fn at_commit(truth: &mut Truth, node: &Node, name: &str, rows: &Rows) {
    if let Some(order) = rows.gap {
        truth.is_wrong(format!("event {order} was not applied to {name} right behind the one before it"));
    }
    let before = truth.rows(name).position;
    if rows.position < before {
        truth.is_wrong(format!("the checkpoint of {name} went back from {before}"));
    }
    // Whoever says that it is alone need not ask whether what it read is still so. A clock that is set forward ends leases
    // before their time, which their holders cannot know.
    let now = node.world.now();
    let relied_on = |(process, until): (&i64, &u64)| {
        *process != node.process_id() && *until > now && truth.living.get(process) == Some(&true)
    };
    if !truth.set_forward && truth.alone.iter().any(relied_on) {
        truth.is_wrong(format!("{now}: {} writes to {name}, and another is said to be alone", node.name));
    }
}

/// `node` stops the read model `name` in front of the event `order`.
pub fn at_stop(truth: &mut Truth, node: &Node, name: &str, order: u64) {
    if name != COUNTS || !node.world.is_strange(order) {
        truth.is_wrong(format!("{name} was stopped in front of event {order}, which it can take"));
    }
}

/// `node` says that everything up to `order` can be read.
pub fn at_progress(truth: &mut Truth, node: &Node, order: u64) {
    let position = truth.subclouds.position;
    if position < order {
        truth.is_wrong(format!("{} says that rows are at {order}, and they are at {position}", node.name));
    }
}

/// The worker that a run belongs to; whoever holds its lease may only be about to find that out.
fn claimed_by(truth: &Truth, run_id: Uuid) -> Option<String> {
    let claim =
        |envelope: &&Envelope| envelope.r#type == "DeployRunClaimed" && run_of(envelope) == Some(run_id);
    let claimed = truth.events.iter().map(|event| &event.envelope).find(claim)?;
    claimed.data.get("worker")?.as_str().map(str::to_owned)
}

fn run_of(envelope: &Envelope) -> Option<Uuid> {
    envelope.data.get("run_id")?.as_str()?.parse().ok()
}

/// What is still to come, if anything.
pub fn unrest(world: &World) -> Option<String> {
    let truth = world.truth();
    let head = truth.events.len() as u64;
    let on_bus = truth.bus.first().map_or(0, |events| events.kept.len() as u64);
    let count = |kind: &str| truth.events.iter().filter(|event| event.envelope.r#type == kind).count();
    let (requested, ended) = (count("DeployRunRequested"), count("DeployRunFinished"));
    if requested > ended {
        return Some(format!("{requested} runs were requested, {ended} have ended"));
    }
    for name in [SUBCLOUDS, COUNTS] {
        let position = truth.rows(name).position;
        if position < head {
            return Some(format!("the {name} are at {position} of {head}"));
        }
    }
    (on_bus < head).then(|| format!("the bus has {on_bus} of {head}"))
}

/// Everything that must hold at rest.
pub fn at_rest(world: &World, account: &Account) -> Vec<String> {
    let truth = world.truth();
    let mut wrong = truth.wrong.clone();
    wrong.extend(chains(&truth, world.seed));
    wrong.extend(runs(&truth));
    wrong.extend(commands(&truth, account));
    let ids: Vec<Uuid> = truth.events.iter().map(|event| event.envelope.id).collect();
    let bus: Vec<Uuid> = truth
        .bus
        .iter()
        .take(1)
        .flat_map(|events| events.kept.values())
        .map(|stored| stored.message.id)
        .collect();
    if ids != bus {
        wrong.push(format!(
            "the bus has {} messages, which are not the {} events in order",
            bus.len(),
            ids.len()
        ));
    }
    let events: Vec<Event> = truth.events.iter().map(|event| Event::from(Arc::clone(event))).collect();
    wrong.extend([SUBCLOUDS, COUNTS].iter().filter_map(|name| differs(truth.rows(name), name, &events)));
    wrong
}

/// How the rows of the read model `name` differ from the fold of `events`, if they do.
fn differs(rows: &Rows, name: &str, events: &[Event]) -> Option<String> {
    let mut fold = Rows::default();
    for event in events {
        if let Err(error) = fold.apply(name, event) {
            return Some(error.to_string());
        }
    }
    let same = fold.position == rows.position
        && fold.gap == rows.gap
        && fold.states == rows.states
        && fold.numbers == rows.numbers;
    (!same).then(|| format!("the {name} are not the fold of the journal"))
}

fn chains(truth: &Truth, seed: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut last: HashMap<&str, (u64, &str)> = HashMap::new();
    for event in &truth.events {
        let envelope = &event.envelope;
        let before = last.get(envelope.stream.as_str()).copied();
        if envelope.revision != before.map_or(0, |(revision, _)| revision + 1) {
            wrong.push(format!("event {} has revision {}", event.position.order, envelope.revision));
        }
        // Hashing is what costs most here: each world looks at a part, and all worlds at all.
        let looked_at = (event.position.order ^ seed).is_multiple_of(4);
        if looked_at && let Err(broken) = Envelope::verify(before.map(|(_, hash)| hash), &event.body) {
            wrong.push(format!("event {}: {broken}", event.position.order));
        }
        last.insert(envelope.stream.as_str(), (envelope.revision, &envelope.hash));
    }
    wrong
}

fn runs(truth: &Truth) -> Vec<String> {
    let mut counts: HashMap<Uuid, [u32; 3]> = HashMap::new();
    for event in &truth.events {
        let kind = ["DeployRunRequested", "DeployRunClaimed", "DeployRunFinished"]
            .iter()
            .position(|kind| *kind == event.envelope.r#type);
        if let Some((kind, run_id)) = kind.zip(run_of(&event.envelope))
            && let Some(count) = counts.entry(run_id).or_default().get_mut(kind)
        {
            *count += 1;
        }
    }
    let once = |[requested, claimed, finished]: &[u32; 3]| *requested == 1 && *claimed <= 1 && *finished == 1;
    let bad = counts.values().filter(|counts| !once(counts));
    bad.map(|counts| format!("a run was requested, claimed and ended {counts:?} times")).collect()
}

fn commands(truth: &Truth, account: &Account) -> Vec<String> {
    let mut written: HashMap<Uuid, u32> = HashMap::new();
    let mut ids = HashSet::new();
    let mut wrong = Vec::new();
    for event in &truth.events {
        if event.envelope.command.is_some() {
            *written.entry(event.envelope.command_id).or_default() += 1;
        }
        if !ids.insert(event.envelope.id) {
            wrong.push(format!("event {} has the id of another", event.position.order));
        }
    }
    let count = |id: &Uuid| written.get(id).copied().unwrap_or(0);
    let told =
        |what: &str, id: &Uuid| format!("a command that was {what} is in the journal {} times", count(id));
    wrong.extend(account.acknowledged.iter().filter(|id| count(id) != 1).map(|id| told("acknowledged", id)));
    wrong.extend(account.refused.iter().filter(|id| count(id) != 0).map(|id| told("refused", id)));
    wrong.extend(account.unknown.iter().filter(|id| count(id) > 1).map(|id| told("not answered", id)));
    wrong
}
