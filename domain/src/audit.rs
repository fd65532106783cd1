//! Audits that the platform asks for when an operation on the system controller is done (fleet.md §12). Each request is
//! an event, which the auditors follow; nothing is decided here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, Command, Facts, Unfoldable};

/// What is to be audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuditKind {
    /// The loads of subclouds.
    Load,
    /// Their Kubernetes versions.
    Kubernetes,
    /// Their Kubernetes root certificates.
    KubeRootcaUpdate,
}

impl AuditKind {
    /// Every kind with the platform's event that asks for it, in the order they are asked for.
    pub const TRIGGERS: [(&'static str, Self); 3] = [
        ("platform-upgrade-completed", Self::Load),
        ("k8s-upgrade-completed", Self::Kubernetes),
        ("kube-rootca-update-completed", Self::KubeRootcaUpdate),
    ];
}

/// An event of the audits' stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum AuditTriggerEvent {
    /// An audit was asked for.
    AuditTriggered(AuditTriggered),
}

/// An audit of all subclouds was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditTriggered {
    /// What is to be audited.
    pub kind: AuditKind,
}

/// The audits that were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditTriggers {
    /// How many were asked for.
    pub count: u64,
}

impl AuditTriggers {
    /// The one stream's name.
    pub const STREAM: &'static str = "audit-triggers";
}

impl Aggregate for AuditTriggers {
    type Event = AuditTriggerEvent;

    const KIND: &'static str = Self::STREAM;

    fn evolve(state: Option<Self>, _: &AuditTriggerEvent) -> Result<Self, Unfoldable> {
        Ok(Self { count: state.unwrap_or_default().count + 1 })
    }
}

/// Asks for audits.
#[derive(Clone, Debug, Serialize)]
pub struct TriggerAudits {
    /// Which, in order.
    pub kinds: Vec<AuditKind>,
}

impl Command<AuditTriggers> for TriggerAudits {
    type Rejection = std::convert::Infallible;
    const NAME: &'static str = "TriggerAudits";

    fn decide(
        &self,
        _: Option<&AuditTriggers>,
        _: &Facts,
    ) -> Result<Vec<AuditTriggerEvent>, Self::Rejection> {
        let asked = |kind: &AuditKind| AuditTriggerEvent::AuditTriggered(AuditTriggered { kind: *kind });
        Ok(self.kinds.iter().map(asked).collect())
    }
}
