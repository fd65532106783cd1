//! `sw_update_strategy` and `strategy_steps`.

use std::collections::BTreeMap;

use dcm_domain::strategy::{
    ApplyType, ImportedStep, StepState, StrategyImported, StrategyState, StrategyType,
};
use dcm_domain::validate::{base64_password, without_secrets};
use dcm_domain::value::{SecretRef, Timestamp};
use serde_json::Value;

use super::documents::Origin;
use super::{SubcloudToImport, Translator};
use crate::import::report::Kind;
use crate::import::row::{Row, Unusable};
use crate::import::tables::{STEPS, STRATEGY};

/// The member of `extra_args` that is a password.
const PASSWORD: &str = "sysadmin_password";

impl Translator<'_> {
    /// The strategy with its steps, if there is one; a further one cannot be.
    pub fn strategy(
        &mut self,
        subclouds: &[SubcloudToImport],
        at: Timestamp,
    ) -> Option<(StrategyImported, Vec<ImportedStep>)> {
        let (rows, unknown): (Vec<&Row>, Vec<&Row>) =
            self.snapshot.table(STRATEGY).iter().partition(|row| row.text("type").is_some());
        for row in unknown {
            self.report.find(Kind::LeftOut, row, "type is null: nobody can tell what the strategy updates");
        }
        for further in rows.iter().skip(1) {
            self.report.find(Kind::LeftOut, further, "a further strategy; there can be only one");
        }
        let Some(row) = rows.first() else {
            if !self.snapshot.table(STEPS).is_empty() {
                self.left_out(STEPS, "steps without a strategy".to_owned());
            }
            return None;
        };
        let strategy = self.strategy_row(row, at);
        let strategy = self.report.keep(strategy);
        let by_id: BTreeMap<i64, &SubcloudToImport> =
            subclouds.iter().map(|subcloud| (subcloud.row.id, subcloud)).collect();
        let mut steps = Vec::new();
        for row in self.snapshot.table(STEPS) {
            let step = self.step(row, &by_id);
            steps.extend(self.report.keep(step).flatten());
        }
        Some((strategy?, steps))
    }

    fn strategy_row(&mut self, row: &Row, at: Timestamp) -> Result<StrategyImported, Unusable> {
        let uuid = self.ids.entity(STRATEGY, row.id);
        let args = match row.text("extra_args") {
            None => Value::Null,
            Some(text) => serde_json::from_str(text)
                .map_err(|_| row.unusable("extra_args", "is no JSON, so that nothing can be hidden in it"))?,
        };
        let origin = Origin { owner: uuid, table: STRATEGY, row: row.id, purpose: PASSWORD };
        let sysadmin_password = self.step_password(row, origin, &args);
        let parallel = self.number(row, "max_parallel_subclouds", 0)?;
        let stop_on_failure = row.flag("stop_on_failure")?.unwrap_or_else(|| {
            self.report.find(Kind::Null, row, "stop_on_failure is null; false stands in its place");
            false
        });
        let state = self.word(row, "state", StrategyState::parse, StrategyState::Initial)?;
        if !matches!(
            state,
            StrategyState::Initial | StrategyState::Complete | StrategyState::Failed | StrategyState::Aborted
        ) {
            self.report.find(Kind::Transitory, row, state.as_str());
        }
        Ok(StrategyImported {
            uuid,
            id: row.id,
            kind: row.word("type", StrategyType::parse)?,
            apply_type: row.some_word("subcloud_apply_type", ApplyType::parse)?,
            max_parallel_subclouds: u32::try_from(parallel)
                .map_err(|_| row.unusable("max_parallel_subclouds", "is out of range"))?,
            stop_on_failure,
            state,
            extra_args: without_secrets(&args),
            sysadmin_password,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
            at,
        })
    }

    /// The password of a prestage, decoded as one that is sent here.
    fn step_password(&mut self, row: &Row, origin: Origin, args: &Value) -> Option<SecretRef> {
        let encoded = args.get(PASSWORD)?.as_str()?;
        match base64_password(PASSWORD, Some(encoded)) {
            Ok(password) => Some(self.documents.password(origin, password)),
            Err(_) => {
                self.report.find(Kind::Odd, row, "its sysadmin_password is not base64 and cannot be used");
                None
            }
        }
    }

    fn step(
        &mut self,
        row: &Row,
        by_id: &BTreeMap<i64, &SubcloudToImport>,
    ) -> Result<Option<ImportedStep>, Unusable> {
        let subcloud = row.number("subcloud_id")?.and_then(|id| by_id.get(&id));
        let Some(subcloud) = subcloud else {
            self.report.find(Kind::LeftOut, row, "its subcloud is not there");
            return Ok(None);
        };
        Ok(Some(ImportedStep {
            id: row.id,
            subcloud: subcloud.entity,
            subcloud_id: subcloud.row.id,
            name: subcloud.row.name.clone(),
            stage: self.number(row, "stage", 1)?,
            state: StepState::new(self.text(row, "state")),
            details: self.text(row, "details"),
            started_at: row.time("started_at")?,
            finished_at: row.time("finished_at")?,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
        }))
    }
}
