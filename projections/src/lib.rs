//! Read models: folds of the journal, in tables that every query is served from.
//!
//! A projector commits rows and checkpoint in one transaction, in journal order. A read model can be dropped and
//! rebuilt at any time; each version has tables of its own, and one row says which version is read.

mod alarms;
mod apply;
mod ask;
mod associations;
mod batch;
mod checkpoint;
mod compare;
mod edition;
mod entities;
mod failure;
mod fragments;
mod groups;
mod history;
mod memory;
mod options;
mod peer_groups;
mod place;
mod port;
mod progress;
mod projection;
mod projector;
mod rebuild;
mod rows;
mod shown;
mod store;
mod strategy;
mod subclouds;
mod system_peers;
mod table;
mod verify;
mod writing;

pub use alarms::{AlarmRow, Alarms};
pub use associations::{AssociationRow, Associations};
pub use batch::Event;
pub use checkpoint::Checkpoint;
pub use compare::{Difference, Problem};
pub use entities::{Entities, EntityRow};
pub use failure::Failure;
pub use fragments::{Fragments, Page, Snapshot};
pub use groups::{GroupRow, Groups};
pub use history::{History, HistoryFilter, HistoryRow};
pub use memory::Memory;
pub use options::{Options, OptionsRows};
pub use peer_groups::{PeerGroupRow, PeerGroups};
pub use place::Place;
pub use port::{NotApplied, ReadModelStore};
pub use progress::Progress;
pub use projection::{ProjectError, Projection, Source};
pub use projector::Projector;
pub use rebuild::{Outdated, Phase, Rebuild, RebuildError, RebuildOptions, RebuildStatus, Rebuilt};
pub use shown::{One, Shown};
pub use store::{OpenError, ReadModelStatus, ReadModels};
pub use strategy::{StepRow, Strategies, StrategyRow};
pub use subclouds::{BackupRunRow, Changes, Key, RunRow, StateCount, SubcloudRow, Subclouds};
pub use system_peers::{SystemPeerRow, SystemPeers};
pub use table::Table;
pub use verify::{Extent, Verified, VerifyError};
pub use writing::Writing;
