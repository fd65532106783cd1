//! Folding: the strategies after each event.

use std::collections::HashSet;

use super::{
    ImportedStep, PlannedStep, StepState, StepsChanged, Strategy, StrategyCreated, StrategyEvent,
    StrategyImported, StrategyState, SwUpdateStrategy, state::Step,
};
use crate::aggregate::{Aggregate, Unfoldable};
use crate::value::Timestamp;

impl Aggregate for SwUpdateStrategy {
    type Event = StrategyEvent;

    const KIND: &'static str = "sw-update-strategy";

    fn evolve(state: Option<Self>, event: &StrategyEvent) -> Result<Self, Unfoldable> {
        let mut state = state.unwrap_or_default();
        match state.fold(event) {
            Some(()) => Ok(state),
            None => Err(unfoldable(event)),
        }
    }
}

fn unfoldable(event: &StrategyEvent) -> Unfoldable {
    let event = serde_json::to_value(event)
        .ok()
        .and_then(|event| event.get("type").and_then(|name| name.as_str()).map(str::to_owned))
        .unwrap_or_default();
    Unfoldable { aggregate: SwUpdateStrategy::KIND, event }
}

impl SwUpdateStrategy {
    /// Folds one event; `None` if it cannot follow.
    fn fold(&mut self, event: &StrategyEvent) -> Option<()> {
        use StrategyEvent as E;
        match event {
            E::StrategyCreated(created) => self.begin(Strategy::created(created)),
            E::StrategyImported(imported) => self.begin(Strategy::imported(imported)),
            E::StepsPlanned(planned) => self.add(planned.steps.iter().map(Step::planned)),
            E::StepsImported(imported) => self.add(imported.steps.iter().map(Step::imported)),
            E::StrategyApplied(applied) => {
                self.of(applied.id)?.enter(StrategyState::Applying, applied.at);
                Some(())
            }
            E::StrategyClaimed(claimed) => {
                self.of(claimed.id)?.worker = Some(claimed.worker.clone());
                Some(())
            }
            E::StrategyAbortRequested(requested) => {
                self.of(requested.id)?.enter(StrategyState::AbortRequested, requested.at);
                Some(())
            }
            E::StrategyStateChanged(changed) => {
                self.of(changed.id)?.enter(changed.to, changed.at);
                Some(())
            }
            E::StepsChanged(changed) => {
                self.current.as_mut()?.change(changed);
                Some(())
            }
            E::StrategyFinished(finished) => {
                self.of(finished.id)?.enter(finished.state, finished.at);
                Some(())
            }
            E::StrategyDeletionRequested(requested) => {
                self.of(requested.id)?.enter(StrategyState::Deleting, requested.at);
                Some(())
            }
            E::StrategyDeleted(deleted) => {
                self.of(deleted.id)?;
                self.current = None;
                Some(())
            }
        }
    }

    fn begin(&mut self, strategy: Strategy) -> Option<()> {
        if self.current.is_some() {
            return None;
        }
        self.last_id = self.last_id.max(strategy.id);
        self.current = Some(strategy);
        Some(())
    }

    fn add(&mut self, steps: impl Iterator<Item = Step>) -> Option<()> {
        let strategy = self.current.as_mut()?;
        for step in steps {
            self.last_step_id = self.last_step_id.max(step.id);
            strategy.steps.push(step);
        }
        Some(())
    }

    /// The current strategy, if it is the one with this id.
    fn of(&mut self, id: i64) -> Option<&mut Strategy> {
        self.current.as_mut().filter(|strategy| strategy.id == id)
    }
}

impl Strategy {
    fn created(created: &StrategyCreated) -> Self {
        Self {
            uuid: created.uuid,
            id: created.id,
            kind: created.kind,
            apply_type: created.apply_type,
            max_parallel_subclouds: created.max_parallel_subclouds,
            stop_on_failure: created.stop_on_failure,
            state: StrategyState::Initial,
            extra_args: created.extra_args.clone(),
            sysadmin_password: created.sysadmin_password,
            steps: Vec::new(),
            worker: None,
            since: created.at,
            taken_over: false,
            created_at: Some(created.at),
            updated_at: None,
        }
    }

    fn imported(imported: &StrategyImported) -> Self {
        Self {
            uuid: imported.uuid,
            id: imported.id,
            kind: imported.kind,
            apply_type: imported.apply_type,
            max_parallel_subclouds: imported.max_parallel_subclouds,
            stop_on_failure: imported.stop_on_failure,
            state: imported.state,
            extra_args: imported.extra_args.clone(),
            sysadmin_password: imported.sysadmin_password,
            steps: Vec::new(),
            worker: None,
            since: imported.at,
            taken_over: true,
            created_at: imported.created_at,
            updated_at: imported.updated_at,
        }
    }

    fn enter(&mut self, state: StrategyState, at: Timestamp) {
        self.state = state;
        self.since = at;
        self.taken_over = false;
        self.updated_at = Some(at);
    }

    fn change(&mut self, changed: &StepsChanged) {
        let concerned: HashSet<i64> = changed.steps.iter().copied().collect();
        for step in self.steps.iter_mut().filter(|step| concerned.contains(&step.id)) {
            step.stage = changed.stage;
            step.state = changed.state.clone();
            step.details.clone_from(&changed.details);
            step.started_at = changed.started_at.or(step.started_at);
            step.finished_at = changed.finished_at.or(step.finished_at);
        }
    }
}

impl Step {
    fn planned(planned: &PlannedStep) -> Self {
        Self {
            id: planned.id,
            subcloud: planned.subcloud,
            subcloud_id: planned.subcloud_id,
            name: planned.name.clone(),
            stage: 1,
            state: StepState::initial(),
            details: String::new(),
            started_at: None,
            finished_at: None,
        }
    }

    fn imported(imported: &ImportedStep) -> Self {
        Self {
            id: imported.id,
            subcloud: imported.subcloud,
            subcloud_id: imported.subcloud_id,
            name: imported.name.clone(),
            stage: imported.stage,
            state: imported.state.clone(),
            details: imported.details.clone(),
            started_at: imported.started_at,
            finished_at: imported.finished_at,
        }
    }
}
