//! The bodies of backup requests, for the description of the API alone: [`Body`](super::body::Body) reads them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::subclouds::render::SubcloudBody;

/// Some subclouds.
#[derive(Serialize, ToSchema)]
pub struct SubcloudsBody {
    /// The subclouds, by id.
    pub subclouds: Vec<SubcloudBody>,
}

/// `true` or `false`, also as text in any case.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Flag {
    /// A boolean.
    Boolean(bool),
    /// Its text; empty is false.
    Text(String),
}

/// An id or a name.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum IdOrName {
    /// The id.
    Id(i64),
    /// The id as text, or the name.
    Text(String),
}

/// A backup of one subcloud or a group: either `subcloud` or `group` is needed.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupCreateBody {
    /// The subcloud to back up.
    #[schema(inline)]
    pub subcloud: Option<IdOrName>,
    /// The group to back up.
    #[schema(inline)]
    pub group: Option<IdOrName>,
    /// Whether the backup stays on the subcloud; false if absent.
    #[schema(inline)]
    pub local_only: Option<Flag>,
    /// Whether registry images are saved too; only with `local_only`.
    #[schema(inline)]
    pub registry_images: Option<Flag>,
    /// Further values of the playbook.
    #[schema(value_type = Option<Object>)]
    pub backup_values: Option<serde_json::Value>,
    /// Administrator password in base64.
    #[schema(example = "dGVzdHBhc3M=")]
    pub sysadmin_password: String,
}

/// A backup of one subcloud or a group, as a form.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupCreateForm {
    /// Id or name of the subcloud to back up.
    pub subcloud: Option<String>,
    /// Id or name of the group to back up.
    pub group: Option<String>,
    /// `true` if the backup stays on the subcloud.
    #[schema(example = "false")]
    pub local_only: Option<String>,
    /// `true` if registry images are saved too; only with `local_only`.
    #[schema(example = "false")]
    pub registry_images: Option<String>,
    /// Further values of the playbook, a YAML file.
    #[schema(value_type = Option<String>, format = Binary)]
    pub backup_values: Option<Vec<u8>>,
    /// Administrator password in base64.
    #[schema(example = "dGVzdHBhc3M=")]
    pub sysadmin_password: String,
}

/// Whose backups are deleted: either `subcloud` or `group` is needed.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupDeleteBody {
    /// Ignored: the path has it.
    #[schema(value_type = Option<Value>)]
    pub release: Option<serde_json::Value>,
    /// The subcloud.
    #[schema(inline)]
    pub subcloud: Option<IdOrName>,
    /// The group.
    #[schema(inline)]
    pub group: Option<IdOrName>,
    /// Whether the backups lie on the subclouds; false if absent.
    #[schema(inline)]
    pub local_only: Option<Flag>,
    /// Administrator password in base64; needed with `local_only`.
    #[schema(example = "dGVzdHBhc3M=")]
    pub sysadmin_password: Option<String>,
}

/// Whose backups are deleted, as a form.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupDeleteForm {
    /// Ignored: the path has it.
    pub release: Option<String>,
    /// Id or name of the subcloud.
    pub subcloud: Option<String>,
    /// Id or name of the group.
    pub group: Option<String>,
    /// `true` if the backups lie on the subclouds.
    #[schema(example = "false")]
    pub local_only: Option<String>,
    /// Administrator password in base64; needed with `local_only`.
    pub sysadmin_password: Option<String>,
}

/// A restore of one subcloud or a group: either `subcloud` or `group` is needed.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupRestoreBody {
    /// Whether the subclouds are installed first; false if absent.
    #[schema(inline)]
    pub with_install: Option<Flag>,
    /// The release to install; only with `with_install`. The active one if absent.
    #[schema(example = "22.12")]
    pub release: Option<String>,
    /// Whether the backup lies on the subcloud; false if absent.
    #[schema(inline)]
    pub local_only: Option<Flag>,
    /// Whether registry images are restored too; only with `local_only`.
    #[schema(inline)]
    pub registry_images: Option<Flag>,
    /// Administrator password in base64.
    #[schema(example = "dGVzdHBhc3M=")]
    pub sysadmin_password: String,
    /// Further values of the playbook; `bootstrap_address` is an object of addresses by subcloud name.
    #[schema(value_type = Option<Object>)]
    pub restore_values: Option<serde_json::Value>,
    /// The subcloud to restore.
    #[schema(inline)]
    pub subcloud: Option<IdOrName>,
    /// The group to restore.
    #[schema(inline)]
    pub group: Option<IdOrName>,
}

/// A restore of one subcloud or a group, as a form.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupRestoreForm {
    /// `true` to install the subclouds first.
    #[schema(example = "false")]
    pub with_install: Option<String>,
    /// The release to install; only with `with_install`.
    #[schema(example = "22.12")]
    pub release: Option<String>,
    /// `true` if the backup lies on the subcloud.
    #[schema(example = "false")]
    pub local_only: Option<String>,
    /// `true` if registry images are restored too; only with `local_only`.
    #[schema(example = "false")]
    pub registry_images: Option<String>,
    /// Administrator password in base64.
    #[schema(example = "dGVzdHBhc3M=")]
    pub sysadmin_password: String,
    /// Further values of the playbook, a YAML file.
    #[schema(value_type = Option<String>, format = Binary)]
    pub restore_values: Option<Vec<u8>>,
    /// Id or name of the subcloud to restore.
    pub subcloud: Option<String>,
    /// Id or name of the group to restore.
    pub group: Option<String>,
}
