//! The commands of the directory about second subnets: one is held beside the first while a subcloud is moved there,
//! so that neither can be given to another before it is known which one it has.

use serde::Serialize;
use uuid::Uuid;

use super::command::{Rejection, known};
use super::{Directory, DirectoryEvent, SubnetChanged, SubnetReleased, SubnetReserved};
use crate::aggregate::{Command, Facts};
use crate::value::Subnet;

/// Reserves a second subnet, for a network reconfiguration; nothing happens if the subcloud has it. Refused while any
/// is reserved: whoever holds a reservation must be the only one to confirm or release it.
#[derive(Clone, Debug, Serialize)]
pub struct ReserveSubnet {
    /// Uuid of the subcloud.
    pub entity: Uuid,
    /// The subnet to be.
    pub subnet: Subnet,
}

impl Command<Directory> for ReserveSubnet {
    type Rejection = Rejection;
    const NAME: &'static str = "ReserveSubnet";

    fn decide(&self, state: Option<&Directory>, facts: &Facts) -> Result<Vec<DirectoryEvent>, Rejection> {
        let entry = known(state, self.entity)?;
        if entry.next_subnet.is_some() {
            return Err(Rejection::SubnetChangeUnderWay);
        }
        if entry.subnet.as_ref() == Some(&self.subnet) {
            return Ok(Vec::new());
        }
        if state.is_some_and(|directory| directory.overlapping(&self.subnet, Some(self.entity)).is_some()) {
            return Err(Rejection::SubnetOverlaps);
        }
        let Self { entity, subnet } = self.clone();
        Ok(vec![SubnetReserved { entity, subnet, at: facts.now }.into()])
    }
}

/// The subcloud is at its second subnet; nothing happens if it is not the one reserved.
#[derive(Clone, Debug, Serialize)]
pub struct ConfirmSubnet {
    /// Uuid of the subcloud.
    pub entity: Uuid,
    /// The subnet that was reserved.
    pub subnet: Subnet,
}

impl Command<Directory> for ConfirmSubnet {
    type Rejection = Rejection;
    const NAME: &'static str = "ConfirmSubnet";

    fn decide(&self, state: Option<&Directory>, _: &Facts) -> Result<Vec<DirectoryEvent>, Rejection> {
        match known(state, self.entity)?.next_subnet.as_ref() == Some(&self.subnet) {
            true => Ok(vec![SubnetChanged { entity: self.entity, subnet: self.subnet.clone() }.into()]),
            false => Ok(Vec::new()),
        }
    }
}

/// The subcloud stays where it is; nothing happens if the subnet is not the one reserved.
#[derive(Clone, Debug, Serialize)]
pub struct ReleaseSubnet {
    /// Uuid of the subcloud.
    pub entity: Uuid,
    /// The subnet that was reserved.
    pub subnet: Subnet,
}

impl Command<Directory> for ReleaseSubnet {
    type Rejection = Rejection;
    const NAME: &'static str = "ReleaseSubnet";

    fn decide(&self, state: Option<&Directory>, _: &Facts) -> Result<Vec<DirectoryEvent>, Rejection> {
        match known(state, self.entity)?.next_subnet.as_ref() == Some(&self.subnet) {
            true => Ok(vec![SubnetReleased { entity: self.entity }.into()]),
            false => Ok(Vec::new()),
        }
    }
}
