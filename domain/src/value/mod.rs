//! Value types: what the aggregates, events and commands are made of.

mod actor;
mod name;
pub mod network;
mod secret;
mod system_uuid;
mod time;
mod words;

pub use actor::Actor;
pub use name::{InvalidName, Name, Region};
pub use network::{AddressRange, InvalidSubnet, Subnet, canonical_ip};
pub use secret::{NotUtf8, Secret, SecretRef};
pub use system_uuid::SystemUuid;
pub use time::Timestamp;
pub(crate) use words::words;
pub use words::{Availability, BackupStatus, DeployStatus, Endpoint, ManagementState, Phase, SyncStatus};
