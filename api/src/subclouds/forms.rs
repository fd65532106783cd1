//! The forms of subcloud requests, for the description of the API alone: [`Form`](crate::transport::Form) reads them.

use utoipa::ToSchema;

/// A new subcloud. Any key of the bootstrap values may also be sent as a plain field, which then counts.
#[derive(ToSchema)]
pub struct CreateForm {
    /// Bootstrap values, a YAML file.
    #[schema(value_type = String, format = Binary)]
    pub bootstrap_values: Vec<u8>,
    /// Install values, a YAML file: the subcloud is also installed.
    #[schema(value_type = Option<String>, format = Binary)]
    pub install_values: Option<Vec<u8>>,
    /// Deployment manager configuration, a file.
    #[schema(value_type = Option<String>, format = Binary)]
    pub deploy_config: Option<Vec<u8>>,
    /// Address the bootstrap playbook connects to.
    #[schema(rename = "bootstrap-address", example = "10.10.10.12")]
    pub bootstrap_address: Option<String>,
    /// Administrator password in base64; needed unless `secondary` is `true`.
    pub sysadmin_password: Option<String>,
    /// BMC password in base64; needed with install values.
    pub bmc_password: Option<String>,
    /// Id of its group; 1 if absent.
    #[schema(example = "1")]
    pub group_id: Option<String>,
    /// Release to deploy; the active one if absent.
    #[schema(example = "24.09")]
    pub release: Option<String>,
    /// `true` to take over a running subcloud.
    #[schema(example = "false")]
    pub migrate: Option<String>,
    /// `true` for a copy that another controller manages.
    #[schema(example = "false")]
    pub secondary: Option<String>,
    /// Its region; a new one if absent.
    pub region_name: Option<String>,
}

/// Changes to a subcloud; an absent field stays as it is.
#[derive(ToSchema)]
pub struct UpdateForm {
    /// New name: an RFC 1123 subdomain in lower case.
    pub name: Option<String>,
    /// New description.
    pub description: Option<String>,
    /// New location.
    pub location: Option<String>,
    /// Id or name of its new group.
    pub group_id: Option<String>,
    /// Peer group, or `none`.
    pub peer_group: Option<String>,
    /// `managed` or `unmanaged`.
    #[schema(rename = "management-state", example = "unmanaged")]
    pub management_state: Option<String>,
    /// `true` to manage whatever its state is.
    pub force: Option<String>,
    /// `true` to mark it as waiting to be rehomed.
    #[schema(example = "true")]
    pub migrate: Option<String>,
    /// New install values, YAML.
    pub install_values: Option<String>,
    /// BMC password in base64; needed with install values.
    pub bmc_password: Option<String>,
    /// New rehome data, YAML.
    pub bootstrap_values: Option<String>,
    /// New bootstrap address in the rehome data.
    pub bootstrap_address: Option<String>,
    /// New management subnet: together with the other three addresses, the bootstrap address and the password it asks
    /// for a network reconfiguration.
    pub management_subnet: Option<String>,
    /// Its gateway.
    pub management_gateway_ip: Option<String>,
    /// First address of its pool.
    pub management_start_ip: Option<String>,
    /// Last address of its pool.
    pub management_end_ip: Option<String>,
    /// Administrator password in base64; for network reconfiguration alone.
    pub sysadmin_password: Option<String>,
}

/// What an audit of one endpoint found.
#[derive(ToSchema)]
pub struct UpdateStatusBody {
    /// The endpoint: `dc-cert`.
    #[schema(example = "dc-cert")]
    pub endpoint: String,
    /// `in-sync`, `out-of-sync` or `unknown`.
    #[schema(example = "in-sync")]
    pub status: String,
}

/// Whether a subcloud can be reached.
#[derive(ToSchema)]
pub struct UpdateAvailabilityBody {
    /// `online` or `offline`.
    #[schema(example = "online")]
    pub status: String,
}

/// A whole deployment again. What is not sent is taken from what is stored; any key of the bootstrap values may also be
/// sent as a plain field, which then counts.
#[derive(ToSchema)]
pub struct RedeployForm {
    /// Install values, a YAML file.
    #[schema(value_type = Option<String>, format = Binary)]
    pub install_values: Option<Vec<u8>>,
    /// Bootstrap values, a YAML file.
    #[schema(value_type = Option<String>, format = Binary)]
    pub bootstrap_values: Option<Vec<u8>>,
    /// Deployment manager configuration, a file.
    #[schema(value_type = Option<String>, format = Binary)]
    pub deploy_config: Option<Vec<u8>>,
    /// Administrator password in base64.
    pub sysadmin_password: String,
    /// BMC password in base64; needed with install values.
    pub bmc_password: Option<String>,
    /// Release to install; the active one if absent.
    #[schema(example = "24.09")]
    pub release: Option<String>,
}

/// What to prestage.
#[derive(ToSchema)]
pub struct PrestageBody {
    /// Administrator password in base64.
    pub sysadmin_password: String,
    /// `true` if management affecting alarms are no obstacle; a boolean is taken too.
    #[schema(example = "false")]
    pub force: Option<String>,
    /// Release to prestage; the active one if absent.
    #[schema(example = "24.09")]
    pub release: Option<String>,
}

/// What taking over a secondary subcloud needs.
#[derive(ToSchema)]
pub struct MigrateBody {
    /// Administrator password in base64.
    #[schema(required)]
    pub sysadmin_password: Option<String>,
}

/// One or more phases of a deployment. What is not sent is taken from what is stored.
#[derive(ToSchema)]
pub struct PhaseForm {
    /// Install values, a YAML file (install, resume).
    #[schema(value_type = Option<String>, format = Binary)]
    pub install_values: Option<Vec<u8>>,
    /// Bootstrap values, a YAML file (bootstrap, resume).
    #[schema(value_type = Option<String>, format = Binary)]
    pub bootstrap_values: Option<Vec<u8>>,
    /// Deployment manager configuration, a file (configure, resume).
    #[schema(value_type = Option<String>, format = Binary)]
    pub deploy_config: Option<Vec<u8>>,
    /// Address the bootstrap playbook connects to.
    #[schema(rename = "bootstrap-address", example = "10.10.10.12")]
    pub bootstrap_address: Option<String>,
    /// Administrator password in base64.
    pub sysadmin_password: String,
    /// BMC password in base64; needed with install values.
    pub bmc_password: Option<String>,
    /// Release to install (install, resume).
    pub release: Option<String>,
}
