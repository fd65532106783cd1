//! Read models: folds of the journal, in tables that every query is served from.
//!
//! A projector commits rows and checkpoint in one transaction, in journal order. A read model can be dropped and
//! rebuilt at any time; each version has tables of its own, and one row says which version is read.

mod alarms;
mod associations;
mod checkpoint;
mod entities;
mod fragments;
mod groups;
mod history;
mod options;
mod peer_groups;
mod progress;
mod projection;
mod projector;
mod rebuild;
mod store;
mod strategy;
mod subclouds;
mod system_peers;

pub use alarms::{AlarmRow, Alarms};
pub use associations::{AssociationRow, Associations};
pub use checkpoint::Checkpoint;
pub use entities::{Entities, EntityRow};
pub use fragments::{Fragments, Page, Snapshot};
pub use groups::{GroupRow, Groups};
pub use history::{History, HistoryFilter, HistoryRow};
pub use options::{Options, OptionsRows};
pub use peer_groups::{PeerGroupRow, PeerGroups};
pub use progress::Progress;
pub use projection::{ProjectError, Projection};
pub use projector::Projector;
pub use rebuild::{RebuildError, RebuildState, Rebuilt};
pub use store::{OpenError, ReadModelStatus, ReadModels};
pub use strategy::{StepRow, Strategies, StrategyRow};
pub use subclouds::{BackupRunRow, Changes, RunRow, StateCount, SubcloudRow, Subclouds};
pub use system_peers::{SystemPeerRow, SystemPeers};
