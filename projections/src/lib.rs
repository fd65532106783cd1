//! Read models: folds of the journal, in tables that every query is served from.
//!
//! A projector commits rows and checkpoint in one transaction, in journal order. A read model can be dropped and
//! rebuilt at any time; each version has tables of its own, and one row says which version is read.

mod checkpoint;
mod fragments;
mod groups;
mod history;
mod progress;
mod projection;
mod projector;
mod rebuild;
mod store;
mod strategy;
mod subclouds;

pub use checkpoint::Checkpoint;
pub use fragments::{Fragments, Snapshot};
pub use groups::{GroupRow, Groups};
pub use history::{History, HistoryFilter, HistoryRow};
pub use progress::Progress;
pub use projection::{ProjectError, Projection};
pub use projector::Projector;
pub use rebuild::{RebuildError, RebuildState, Rebuilt};
pub use store::{OpenError, ReadModelStatus, ReadModels};
pub use strategy::{StepRow, Strategies, StrategyRow};
pub use subclouds::{Changes, RunRow, SubcloudRow, Subclouds};
